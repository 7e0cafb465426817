package sqldb

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ellis.example/idp/internal/unit"
)

// Who waits for a commit is told how many shared it, and what came of it.
func TestTrace_TellsHowManySharedACommit(t *testing.T) {
	t.Parallel()
	type told struct {
		jobs int
		err  error
	}
	type who struct{}
	var mu sync.Mutex
	ends := map[any]told{}
	db, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"), Options{
		Migrations: migrations, Chain: events{},
		Trace: func(ctx context.Context) func(int, error) {
			return func(jobs int, err error) {
				mu.Lock()
				defer mu.Unlock()
				ends[ctx.Value(who{})] = told{jobs, err}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	as := func(name string) context.Context { return context.WithValue(t.Context(), who{}, name) }

	held, free := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = db.Commit(as("alone"), func(*Tx) error { close(held); <-free; return nil }, nil)
	})
	<-held // the others queue behind it
	for _, name := range []string{"one", "two", "three"} {
		wg.Go(func() { _ = add(as(name), db, "same", "") })
	}
	gone, cancel := context.WithCancel(as("gone"))
	wg.Go(func() { _ = add(gone, db, "gone", "") })
	until := func(so func() bool) {
		for !so() {
			time.Sleep(time.Millisecond)
		}
	}
	until(func() bool { return len(db.w.queue) == 4 })
	cancel()
	until(func() bool { mu.Lock(); defer mu.Unlock(); return len(ends) == 1 })
	close(free)
	wg.Wait()

	if ends["alone"] != (told{1, nil}) || ends["gone"].jobs != 0 || !errors.Is(ends["gone"].err, context.Canceled) {
		t.Errorf("alone %v, gone %v", ends["alone"], ends["gone"])
	}
	conflicts := 0
	for _, name := range []string{"one", "two", "three"} {
		if ends[name].jobs != 3 {
			t.Errorf("%s shared its commit with %d", name, ends[name].jobs)
		}
		if unit.IsConflict(ends[name].err) {
			conflicts++
		}
	}
	if conflicts != 2 {
		t.Errorf("%d conflicts: %v", conflicts, ends)
	}
}
