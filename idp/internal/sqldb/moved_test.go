package sqldb

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/fault"
)

// setBack leaves a database as it was when the chain had one event. It is done over the connection of the writer, which so
// outlives it as one behind a pooler does.
func setBack(tx *Tx) error {
	for _, q := range []string{
		`UPDATE writers SET seq = 1, hash = (SELECT e.hash FROM events e WHERE e.writer = writers.id AND e.seq = 1)`, `DELETE FROM events WHERE seq > 1`,
	} {
		if _, err := tx.Exec(q); err != nil {
			return err
		}
	}
	return nil
}

// A chain that does not end where its process left it is not gone on with: nothing of the batch is written, and what comes
// behind it is in a chain of its own.
func TestCommit_AChainThatMovedIsNotGoneOnWith(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) { moved(t, dsn, false) })
}

// So it is where the batch was tried job by job, because one of them cannot be written anywhere.
func TestCommit_AChainThatMovedIsNotGoneOnWithJobByJob(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) { moved(t, dsn, true) })
}

func moved(t *testing.T, dsn string, poisoned bool) {
	t.Helper()
	db := open(t, dsn)
	for i := range 3 {
		report(t, add(t.Context(), db, fmt.Sprint("before ", i), ""))
	}
	old := db.w.head
	const n = 8
	held, free := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		report(t, db.Maintain(t.Context(), func(tx *Tx) error { close(held); <-free; return setBack(tx) }))
	})
	<-held
	waiting := n
	if poisoned {
		waiting++
		all.Go(func() {
			err := db.Commit(t.Context(), func(tx *Tx) error { _, err := tx.Exec(`INSERT INTO nowhere VALUES (1)`); return err }, nil)
			if err == nil || errors.Is(err, errMoved) {
				t.Errorf("what cannot be written: %v", err)
			}
		})
		for len(db.w.queue) < 1 {
			time.Sleep(time.Millisecond)
		}
	}
	for i := range n { // all in one batch
		all.Go(func() {
			if err := add(t.Context(), db, fmt.Sprint("lost ", i), ""); !errors.Is(err, ErrUnavailable) || !errors.Is(err, errMoved) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	for len(db.w.queue) < waiting {
		time.Sleep(time.Millisecond)
	}
	close(free)
	all.Wait()
	report(t, add(t.Context(), db, "after", ""))
	var lost, at int64
	report(t, db.Row(t.Context(), `SELECT (SELECT count(*) FROM things WHERE name LIKE 'lost%'), seq FROM writers WHERE name = ?`, old.Writer).Scan(&lost, &at))
	if lost != 0 || at != 1 || db.w.head.Writer == old.Writer || db.w.head.Seq != 1 {
		t.Errorf("%d written, the old chain ends at %d, then it goes on at %+v", lost, at, db.w.head)
	}
}

// Where another writer has the number of its row since, or the row is gone, a process does not fail for good, and spoils no
// other chain.
func TestCommit_AChainWhoseRowIsAnothersIsLeft(t *testing.T) {
	for name, queries := range map[string][]string{
		"another's": {`UPDATE writers SET name = 'other', seq = 3`, `INSERT INTO events (writer, seq, body, hash) SELECT writer, 3, body, hash FROM events WHERE seq = 1`},
		"gone":      {`DELETE FROM writers`, `DELETE FROM events`},
		"same end":  {`UPDATE writers SET hash = (SELECT e.hash FROM events e WHERE e.seq = 1)`},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, dsn string) {
				db := open(t, dsn)
				report(t, errors.Join(add(t.Context(), db, "a", ""), add(t.Context(), db, "b", "")))
				report(t, db.Maintain(t.Context(), func(tx *Tx) error {
					for _, q := range queries {
						if _, err := tx.Exec(q); err != nil {
							return err
						}
					}
					return nil
				}))
				if err := add(t.Context(), db, "c", ""); !errors.Is(err, errMoved) {
					t.Errorf("what comes next: %v", err)
				}
				report(t, add(t.Context(), db, "d", ""))
				if want := (chain.Head{Writer: db.w.head.Writer, Seq: 1, Hash: db.w.head.Hash}); db.w.head != want {
					t.Errorf("it goes on at %+v", db.w.head)
				}
			})
		})
	}
}

// What a guard refused may have been set back meanwhile: what comes behind it is in a chain of its own.
func TestCommit_BeginsAChainBehindWhatAGuardRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		var refuse atomic.Bool
		refused := fault.New(fault.Unavailable, "set_back", "set back")
		db, err := Open(t.Context(), dsn, Options{Migrations: migrations, Chain: events{}, Guard: func(*Tx) error {
			if refuse.Load() {
				return refused
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		_, err = db.Migrate(t.Context())
		report(t, errors.Join(err, add(t.Context(), db, "a", ""), add(t.Context(), db, "b", "")))
		old := db.w.head.Writer
		refuse.Store(true)
		if err := add(t.Context(), db, "c", ""); !errors.Is(err, refused) {
			t.Errorf("the guard: %v", err)
		}
		report(t, open(t, dsn).Maintain(t.Context(), setBack))
		refuse.Store(false)
		if report(t, add(t.Context(), db, "d", "")); db.w.head.Writer == old || db.w.head.Seq != 1 {
			t.Errorf("it goes on at %+v", db.w.head)
		}
	})
}

// A guard that could not ask said nothing about the past: the chain goes on.
func TestCommit_GoesOnBehindAGuardThatFailed(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		var fails atomic.Bool
		db, err := Open(t.Context(), dsn, Options{Migrations: migrations, Chain: events{}, Guard: func(*Tx) error {
			if fails.Load() {
				return errors.New("no answer")
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		_, err = db.Migrate(t.Context())
		report(t, errors.Join(err, add(t.Context(), db, "a", "")))
		old := db.w.head.Writer
		fails.Store(true)
		if add(t.Context(), db, "b", "") == nil {
			t.Error("nobody was asked, and it was written")
		}
		fails.Store(false)
		if report(t, add(t.Context(), db, "c", "")); db.w.head.Writer != old || db.w.head.Seq != 2 {
			t.Errorf("it goes on at %+v", db.w.head)
		}
	})
}
