package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"ellis.example/idp/internal/sqldb/pgtest"
)

// Rows that somebody holds for long, as a commit does that waits for its standby, hold a batch up once, and not each of its jobs
// again and again; whoever comes later finds the writer free.
func TestCommit_RowsThatAreHeldDoNotHoldUpEverybody(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	db := open(t, dsn)
	db.d.patience = 3 * time.Second
	const n = 5
	for i := range n {
		report(t, add(t.Context(), db, fmt.Sprint("held ", i), ""))
	}
	other, err := sql.Open("pgx", dsn)
	report(t, err)
	t.Cleanup(func() { report(t, other.Close()) })
	holder, err := other.BeginTx(t.Context(), nil)
	report(t, err)
	_, err = holder.ExecContext(t.Context(), `UPDATE things SET note = 'mine'`)
	report(t, err)
	jobs := make([]func(context.Context) error, n)
	for i := range jobs {
		jobs[i] = func(ctx context.Context) error {
			return db.Commit(ctx, func(tx *Tx) error {
				return tx.MustOne(write{"held"}, "gone", `UPDATE things SET n = n + 1 WHERE name = ?`, fmt.Sprint("held ", i))
			}, event(fmt.Sprint("counted ", i)))
		}
	}
	began := time.Now()
	for i, err := range shareOne(t, db, jobs...) {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("job %d: %v", i, err)
		}
	}
	if took := time.Since(began); took > 15*time.Second { // lock_timeout is 2 s: a batch, and a job or two
		t.Errorf("they waited for %s", took)
	}
	report(t, add(t.Context(), db, "free", ""))
	report(t, holder.Rollback())
	var counted int
	report(t, db.Row(t.Context(), `SELECT count(*) FROM things WHERE n <> 1`).Scan(&counted))
	if counted != 0 {
		t.Errorf("%d were counted", counted)
	}
}
