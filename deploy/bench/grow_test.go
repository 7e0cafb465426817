package main

import (
	"io"
	"testing"
)

// TestGrow_FillsWhatIsServedThen fills both services over both stores, and lets them start and be used over it.
func TestGrow_FillsWhatIsServedThen(t *testing.T) {
	t.Parallel()
	b := &bench{stderr: io.Discard, dir: t.TempDir(), rows: 30, redis: true}
	if err := b.findBinaries(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, store := range stores {
		s, err := b.openStack(t.Context(), store, true)
		if err != nil {
			t.Fatalf("%s: %v", store, err)
		}
		t.Cleanup(s.close)
		if err := needCases(t.Context(), s); err != nil {
			t.Errorf("%s: nobody can use it: %v", store, err)
		}
		of := s.cfg.DataSources()
		holds(t, of.IDP, identityRows, b.rows)
		holds(t, of.Cases, caseRows, b.rows)
	}
}

// holds checks that a database has at least the rows that were asked for, in each table.
func holds(t *testing.T, dsn string, tables []filling, rows int) {
	t.Helper()
	_, db, err := open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	want := map[string]int{}
	for _, f := range tables {
		want[f.table] += rows * f.times
	}
	for table, least := range want {
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n < least {
			t.Errorf("%s has %d rows of %d (%v)", table, n, least, err)
		}
	}
}
