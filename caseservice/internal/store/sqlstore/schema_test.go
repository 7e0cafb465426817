package sqlstore_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"ellis.example/caseservice/internal/sqldb/pgtest"
	"ellis.example/caseservice/internal/store/sqlstore"
)

// Whoever was migrated past by a step that works with it starts again; behind one that does not say so nobody does.
func TestOpen_StartsBehindAStepThatWorksWithIt(t *testing.T) {
	t.Parallel()
	for kind, dsn := range map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "cases.db"), "pgx": pgtest.Database(t)} {
		_, st, err := sqlstore.Migrate(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open(kind, strings.TrimPrefix(dsn, "sqlite:"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		next := func(version, worksWith int64) {
			t.Helper()
			for _, q := range []string{"INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, $2 > 0)", "INSERT INTO schema_steps (version, works_with) VALUES ($1, $2)"} {
				if _, err := db.ExecContext(t.Context(), q, version, worksWith); err != nil {
					t.Fatal(err)
				}
			}
		}
		next(st.Known+1, st.Known)
		if err := openDSN(t, dsn).Commit(t.Context(), look(1)); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		next(st.Known+2, st.Known+1)
		if _, err := sqlstore.Open(t.Context(), sqlstore.Options{Database: dsn, Role: "test"}); !errors.Is(err, sqlstore.ErrNewerSchema) {
			t.Errorf("%s, behind a step that needs more: %v", kind, err)
		}
	}
}
