package sqldb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// Events by themselves have no savepoint, and share transactions with units that fail: each is kept once, and nothing of a
// unit that failed.
func TestCommit_EventsAloneStandBesideUnitsThatFail(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		const n = 200
		var o oracle
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if err := db.Commit(t.Context(), nil, event(fmt.Sprintf("alone %d", i))); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				name := fmt.Sprintf("thing %d", i/2) // one of two is too late
				if err := add(t.Context(), db, name, ""); err == nil {
					o.note(name, nil)
				}
			})
		}
		wg.Wait()
		if acked := o.check(t, db, false); acked != n/2 {
			t.Errorf("%d things", acked)
		}
		alone := 0
		if err := db.Row(t.Context(), `SELECT count(DISTINCT CAST(body AS TEXT)) FROM events`).Scan(&alone); err != nil || alone != n+n/2 {
			t.Errorf("%d events, %v", alone, err)
		}
	})
}

func TestRow_IsNotReadForWhoHasGone(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var one int
		if err := db.Row(ctx, `SELECT 1`).Scan(&one); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
