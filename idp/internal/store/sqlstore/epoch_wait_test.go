package sqlstore_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/sqldb/pgtest"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
	"ellis.example/idp/internal/unit"
)

// A batch that is open on one replica keeps another from beginning an epoch: what was decided in the old one is not committed
// behind the new one.
func TestEpoch_WaitsForTheBatchThatIsOpenOnAnotherReplica(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	a, b := sqltest.OpenDSN(t, dsn, clock.System{}), sqltest.OpenDSN(t, dsn, clock.System{})
	void := unit.Unit{Writes: []unit.Write{epoch.VoidSecret{Client: "nobody", At: time.Now()}}, Event: audit.Event{Type: "test.event"}}
	if err := a.Commit(t.Context(), void); err != nil { // what a server was not told of waits for its tables before anything begins
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), `LOCK TABLE clients IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	batch, raised := make(chan error, 1), make(chan error, 1)
	waits := func(what string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			var n int
			if err := tx.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = $1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, what).Scan(&n); err != nil {
				t.Fatal(err)
			}
			switch {
			case n > 0:
				return
			case len(raised) > 0:
				t.Fatal("the epoch began meanwhile")
			case time.Now().After(end):
				t.Fatalf("nobody waits for a lock of type %s", what)
			}
		}
	}
	go func() {
		batch <- a.Commit(t.Context(), void)
	}()
	waits("relation")
	go func() {
		raised <- b.Commit(t.Context(), unit.Unit{Writes: []unit.Write{epoch.Raise{At: time.Now()}}, Event: audit.Event{Type: "test.event"}})
	}()
	waits("advisory")
	if err := errors.Join(tx.Rollback(), <-batch, <-raised); err != nil {
		t.Error(err)
	}
}
