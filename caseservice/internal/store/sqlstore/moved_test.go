package sqlstore_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"ellis.example/caseservice/internal/sqldb"
	"ellis.example/caseservice/internal/sqldb/pgtest"
	"ellis.example/caseservice/internal/witness"
)

// A database that was set back underneath a process whose connection goes on, as behind a pooler, gets no chain with a hole: what
// comes next is not written, and a chain of its own begins behind it.
func TestF11_AChainThatMovedIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	for driver, dsn := range map[string]func(*testing.T) string{
		"sqlite": func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "cases.db") },
		"pgx":    func(t *testing.T) string { return pgtest.Database(t) },
	} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			dsn := dsn(t)
			st := openDSN(t, dsn)
			commit := func() error { return st.Commit(t.Context(), look(1)) }
			if err := errors.Join(commit(), commit(), commit()); err != nil {
				t.Fatal(err)
			}
			was, err := st.Heads(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open(driver, strings.TrimPrefix(dsn, "sqlite:"))
			if err != nil {
				t.Fatal(err)
			}
			// Nothing takes an entry out of a ledger, so the head alone goes back.
			if _, err := db.ExecContext(t.Context(), `UPDATE ledger_writers SET seq = 1, hash = (SELECT l.hash FROM ledger l WHERE l.seq = 1)`); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(commit(), db.Close()); !errors.Is(err, sqldb.ErrUnavailable) {
				t.Errorf("the chain goes on: %v", err)
			}
			if err := commit(); err != nil {
				t.Fatal(err)
			}
			r, err := st.Verify(t.Context())
			behind, unread := witness.Checkpoint{Heads: was}.Behind(t.Context(), st)
			if err = errors.Join(err, unread); err != nil || r.Writers != 2 || r.Records != 4 || behind == "" {
				t.Errorf("%+v, behind %q, %v", r, behind, err)
			}
		})
	}
}
