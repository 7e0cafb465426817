package sqlstore_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/sqldb/pgtest"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/witness"
)

// A database that was set back underneath a process whose connection goes on, as behind a pooler, gets no chain with a hole: what
// comes next is not written, and a chain of its own begins behind it.
func TestF11_AChainThatMovedIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	for driver, dsn := range map[string]func(*testing.T) string{
		"sqlite": func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "idp.db") },
		"pgx":    func(t *testing.T) string { return pgtest.Database(t) },
	} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			dsn := dsn(t)
			st := sqltest.OpenDSN(t, dsn, clock.System{})
			commit := func() error { return st.Commit(t.Context(), unit.Unit{Event: audit.Event{Type: "test.event"}}) }
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
			for _, q := range []string{
				`UPDATE audit_writers SET head_seq = 1, head_hash = (SELECT hash FROM audit_events WHERE seq = 1)`, `DELETE FROM audit_events WHERE seq > 1`,
			} {
				if _, err := db.ExecContext(t.Context(), q); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(commit(), db.Close()); !errors.Is(err, sqldb.ErrUnavailable) {
				t.Errorf("the chain goes on: %v", err)
			}
			if err := commit(); err != nil {
				t.Fatal(err)
			}
			r, err := witness.Verify(t.Context(), st, nil)
			behind, unread := witness.Checkpoint{Heads: was}.Behind(t.Context(), st)
			if err = errors.Join(err, unread); err != nil || !r.Whole() || r.Writers != 2 || r.Events != 2 || behind == "" {
				t.Errorf("%+v, behind %q, %v", r, behind, err)
			}
		})
	}
}
