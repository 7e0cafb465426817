package sqldb

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"ellis.example/idp/internal/unit"
)

// shareOne has jobs, in their order, share a batch, and returns what each was told.
func shareOne(t *testing.T, db *DB, jobs ...func(context.Context) error) []error {
	t.Helper()
	held, begun := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		started := sync.OnceFunc(func() { close(begun) })
		if err := db.Commit(t.Context(), func(*Tx) error { started(); <-held; return nil }, nil); err != nil {
			t.Error(err)
		}
	})
	<-begun
	told := make([]error, len(jobs))
	for i, do := range jobs {
		wg.Go(func() { told[i] = do(t.Context()) })
		for len(db.w.queue) <= i {
			time.Sleep(time.Millisecond)
		}
	}
	close(held)
	wg.Wait()
	return told
}

func TestCommitIf_ConditionsOfABatchAreLookedAtTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		looks := 0
		db.opt.Broken = func(tx *Tx, asked []unit.Write, broken func(int)) error {
			looks++
			for i, c := range asked {
				var there bool
				if err := tx.Row(`SELECT EXISTS (SELECT 1 FROM things WHERE name = ?)`, c.(write).name).Scan(&there); err != nil {
					return err
				}
				if there {
					broken(i)
				}
			}
			return nil
		}
		if err := add(t.Context(), db, "ended 3", ""); err != nil {
			t.Fatal(err)
		}
		var o oracle
		jobs := make([]func(context.Context) error, 10)
		for i := range jobs {
			jobs[i] = func(ctx context.Context) error {
				name := fmt.Sprint("thing ", i)
				err := db.CommitIf(ctx, []unit.Write{write{fmt.Sprint("ended ", i)}}, func(tx *Tx) error {
					return tx.MustOne(write{name}, "there", `INSERT INTO things (name, n, note) VALUES (?, 1, '')`, name)
				}, event("added "+name))
				o.note(name, err)
				return err
			}
		}
		for i, err := range shareOne(t, db, jobs...) {
			if fell, is := unit.ConflictIn[write](err); is != (i == 3) || (is && fell.name != "ended 3") || (!is && err != nil) {
				t.Errorf("job %d: %v", i, err)
			}
		}
		want := 1
		if db.d.flies { // once for nothing, as if nobody was in conflict
			want = 2
		}
		if n := o.check(t, db, false); n != 9 || looks != want {
			t.Errorf("%d of 10 were written after %d looks", n, looks)
		}
	})
}

// What a job was told in a transaction that came to nothing is forgotten with it.
func TestCommit_AVerdictIsThatOfTheLastTry(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		insert := func(tx *Tx) error {
			return tx.MustOne(write{"x"}, "there", `INSERT INTO things (name, n, note) VALUES ('x', 1, '')`)
		}
		tries := 0
		told := shareOne(t, db, func(ctx context.Context) error {
			return db.Commit(ctx, func(tx *Tx) error {
				if tries++; tries > 1 {
					return &unit.Conflict{Write: write{"changed its mind"}}
				}
				return insert(tx)
			}, nil)
		}, func(ctx context.Context) error {
			return db.Commit(ctx, insert, nil)
		}, func(ctx context.Context) error {
			return db.Commit(ctx, func(tx *Tx) error { _, err := tx.Exec(`INSERT INTO nowhere (x) VALUES (1)`); return err }, nil)
		})
		if !unit.IsConflict(told[0]) || told[1] != nil || told[2] == nil || tries < 2 {
			t.Errorf("told %v after %d tries", told, tries)
		}
	})
}
