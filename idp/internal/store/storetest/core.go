package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/unit"
)

// Racers is how many goroutines fight for each single-use artefact.
const Racers = 64

// Race calls f from Racers goroutines that start together and returns how many got a nil error. Every other error must
// be a *unit.Conflict.
func Race(t *testing.T, f func(i int) error) int {
	t.Helper()
	var wins atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range Racers {
		wg.Go(func() {
			<-start
			switch err := f(i); {
			case err == nil:
				wins.Add(1)
			case !unit.IsConflict(err):
				t.Errorf("racer %d: %v, want a conflict", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(wins.Load())
}

// CoreStore is what Core needs.
type CoreStore interface {
	unit.Committer
	unit.SpentReader
}

// Core checks units, conflicts and tombstones.
func Core[S CoreStore](t *testing.T, open func(*testing.T) S) {
	t.Run("one of many spends wins", func(t *testing.T) { t.Parallel(); oneSpendWins(t, open(t)) })
	t.Run("a conflict undoes the whole unit and nothing else", func(t *testing.T) { t.Parallel(); conflictIsAlone(t, open(t)) })
	t.Run("a cancelled request writes nothing", func(t *testing.T) { t.Parallel(); cancelledWritesNothing(t, open(t)) })
	t.Run("an unknown write is an error and no conflict", func(t *testing.T) { t.Parallel(); unknownWrite(t, open(t)) })
}

func spend(kind, key, ref string) unit.Spend {
	return unit.Spend{Kind: kind, Key: unit.Key(key), Ref: ref, Until: time.Now().Add(time.Hour)}
}

func oneSpendWins(t *testing.T, s CoreStore) {
	for round := range 20 {
		key := fmt.Sprint("code", round)
		wins := Race(t, func(i int) error {
			return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{spend("code", key, fmt.Sprint("grant", i))}, Event: audit.Event{Type: "code.spent"}})
		})
		if wins != 1 {
			t.Fatalf("round %d: %d winners", round, wins)
		}
		if ref, spent, err := s.Spent(t.Context(), "code", unit.Key(key)); err != nil || !spent || ref == "" {
			t.Fatalf("after the race: ref %q, spent %v, %v", ref, spent, err)
		}
	}
}

func conflictIsAlone(t *testing.T, s CoreStore) {
	if err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{spend("k", "taken", "first")}}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			u := unit.Unit{Writes: []unit.Write{spend("k", fmt.Sprint("free", i), "x")}}
			if i%2 == 1 {
				u.Writes = append(u.Writes, spend("k", "taken", "second"))
			}
			err := s.Commit(t.Context(), u)
			if lost, is := unit.ConflictIn[unit.Spend](err); is != (i%2 == 1) || (is && lost.Ref != "second") {
				t.Errorf("unit %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i := range 200 {
		if _, spent, err := s.Spent(t.Context(), "k", unit.Key(fmt.Sprint("free", i))); err != nil || spent != (i%2 == 0) {
			t.Fatalf("unit %d: spent %v, %v", i, spent, err)
		}
	}
	if ref, _, err := s.Spent(t.Context(), "k", unit.Key("taken")); err != nil || ref != "first" {
		t.Fatalf("the first spend reads %q, %v", ref, err)
	}
}

func cancelledWritesNothing(t *testing.T, s CoreStore) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Commit(ctx, unit.Unit{Writes: []unit.Write{spend("k", "late", "x")}}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, spent, err := s.Spent(t.Context(), "k", unit.Key("late")); err != nil || spent {
		t.Fatalf("spent %v, %v", spent, err)
	}
}

type strangeWrite struct{}

func (strangeWrite) UnitWrite() {}

func unknownWrite(t *testing.T, s CoreStore) {
	err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{spend("k", "before", "x"), strangeWrite{}}})
	if err == nil || unit.IsConflict(err) {
		t.Fatalf("got %v", err)
	}
	if _, spent, _ := s.Spent(t.Context(), "k", unit.Key("before")); spent {
		t.Fatal("half a unit was written")
	}
}
