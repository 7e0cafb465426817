package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/lease"
	"ellis.example/idp/internal/unit"
)

// LeaseStore is what Leases needs.
type LeaseStore interface {
	unit.Committer
	unit.SpentReader
	lease.Reader
}

// Leases checks who may hold a lease, and what somebody who held it may still write.
func Leases[S LeaseStore](t *testing.T, open func(*testing.T) S) {
	t.Run("one of many takes wins, every time", func(t *testing.T) { t.Parallel(); oneHolder(t, open(t)) })
	t.Run("a sign of life keeps others away", func(t *testing.T) { t.Parallel(); signOfLife(t, open(t)) })
	t.Run("leases know nothing of each other", func(t *testing.T) { t.Parallel(); leasesApart(t, open(t)) })
	t.Run("who held it writes nothing more", func(t *testing.T) { t.Parallel(); fenced(t, open(t)) })
	t.Run("no write of a term lands after the next began", func(t *testing.T) { t.Parallel(); noLateWrite(t, open(t)) })
}

func leaseRow(t *testing.T, s LeaseStore, name string) lease.Row {
	t.Helper()
	r, err := s.Lease(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func oneHolder(t *testing.T, s LeaseStore) {
	if r := leaseRow(t, s, "jobs"); r != (lease.Row{Name: "jobs"}) {
		t.Fatalf("before anybody had it: %+v", r)
	}
	for term := range 5 {
		was := leaseRow(t, s, "jobs")
		wins := Race(t, func(i int) error {
			return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{lease.Take{Was: was, Holder: fmt.Sprint("rep", i), At: outboxTime}}})
		})
		now := leaseRow(t, s, "jobs")
		if wins != 1 || now.Fence != int64(term+1) || now.Holder == "" {
			t.Fatalf("term %d: %d holders, %+v", term, wins, now)
		}
		if term%2 == 1 {
			commit(t, s, lease.Release{Name: "jobs", Fence: now.Fence, At: outboxTime})
			if r := leaseRow(t, s, "jobs"); r.Holder != "" || r.Fence != now.Fence || r.Beat == now.Beat {
				t.Fatalf("after it was given back: %+v", r)
			}
		}
	}
}

func signOfLife(t *testing.T, s LeaseStore) {
	commit(t, s, lease.Take{Was: leaseRow(t, s, "jobs"), Holder: "a", At: outboxTime})
	seen := leaseRow(t, s, "jobs")
	commit(t, s, lease.Renew{Name: "jobs", Fence: 1, At: outboxTime})
	conflicts(t, s, lease.Take{Was: seen, Holder: "b", At: outboxTime})
	seen = leaseRow(t, s, "jobs")
	commit(t, s, lease.Release{Name: "jobs", Fence: 1, At: outboxTime})
	conflicts(t, s, lease.Take{Was: seen, Holder: "b", At: outboxTime})
	conflicts(t, s, lease.Renew{Name: "jobs", Fence: 1, At: outboxTime})
	conflicts(t, s, lease.Release{Name: "jobs", Fence: 1, At: outboxTime})
	commit(t, s, lease.Take{Was: leaseRow(t, s, "jobs"), Holder: "b", At: outboxTime})
	if r := leaseRow(t, s, "jobs"); r.Holder != "b" || r.Fence != 2 {
		t.Fatalf("%+v", r)
	}
}

func leasesApart(t *testing.T, s LeaseStore) {
	commit(t, s, lease.Take{Was: lease.Row{Name: "one"}, Holder: "a", At: outboxTime}, lease.Take{Was: lease.Row{Name: "two"}, Holder: "b", At: outboxTime})
	commit(t, s, lease.Release{Name: "one", Fence: 1, At: outboxTime}, lease.Held{Name: "two", Fence: 1}, lease.Renew{Name: "two", Fence: 1, At: outboxTime})
	conflicts(t, s, lease.Held{Name: "one", Fence: 1})
	conflicts(t, s, lease.Held{Name: "three", Fence: 0})
}

func fenced(t *testing.T, s LeaseStore) {
	commit(t, s, lease.Take{Was: leaseRow(t, s, "jobs"), Holder: "a", At: outboxTime})
	commit(t, s, lease.Held{Name: "jobs", Fence: 1}, spend("job", "while held", ""))
	commit(t, s, lease.Take{Was: leaseRow(t, s, "jobs"), Holder: "b", At: outboxTime})
	for _, old := range []unit.Write{lease.Held{Name: "jobs", Fence: 1}, lease.Renew{Name: "jobs", Fence: 1, At: outboxTime}, lease.Release{Name: "jobs", Fence: 1, At: outboxTime}} {
		err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{old, spend("job", "too late", "")}})
		if !unit.IsConflict(err) {
			t.Fatalf("%T of a former holder: %v", old, err)
		}
	}
	if _, spent, err := s.Spent(t.Context(), "job", unit.Key("too late")); spent || err != nil {
		t.Fatalf("a former holder wrote (%v)", err)
	}
	commit(t, s, lease.Held{Name: "jobs", Fence: 2}, spend("job", "while held by another", ""))
}

// noLateWrite writes under the first term from many sides while the second begins: what began after that is refused.
func noLateWrite(t *testing.T, s LeaseStore) {
	commit(t, s, lease.Take{Was: leaseRow(t, s, "jobs"), Holder: "a", At: outboxTime})
	var next atomic.Bool
	var early, late atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 1000 {
				began := next.Load()
				err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{lease.Held{Name: "jobs", Fence: 1}, spend("job", fmt.Sprint(i, n), "")}})
				switch {
				case err == nil && began:
					late.Add(1)
					return
				case err == nil:
					early.Add(1)
				case !unit.IsConflict(err):
					t.Error(err)
					return
				case began:
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	commit(t, s, lease.Take{Was: leaseRow(t, s, "jobs"), Holder: "b", At: outboxTime})
	next.Store(true)
	wg.Wait()
	if early.Load() == 0 || late.Load() != 0 {
		t.Fatalf("%d writes in the first term, %d after it", early.Load(), late.Load())
	}
}
