package fresh_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fresh"
)

type source struct {
	version, builds atomic.Int64
	fail            atomic.Bool
}

func (s *source) view(clk clock.Clock) *fresh.View[int64] {
	return fresh.New(clk, func(context.Context) (int64, error) {
		if s.fail.Load() {
			return 0, errors.New("down")
		}
		return s.version.Load(), nil
	}, func(context.Context) (*int64, error) {
		s.builds.Add(1)
		n := s.version.Load()
		return &n, nil
	})
}

func get(t *testing.T, v *fresh.View[int64]) int64 {
	t.Helper()
	n, err := v.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return *n
}

func TestGet_SeesAChangeWithinItsTimeAndBuildsOnlyThen(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC))
	var s source
	v := s.view(clk)
	s.version.Store(1)
	for range 100 {
		if got := get(t, v); got != 1 {
			t.Fatal(got)
		}
	}
	s.version.Store(2)
	clk.Advance(fresh.Every)
	if got := get(t, v); got != 2 || s.builds.Load() != 2 {
		t.Fatalf("value %d after %d builds", got, s.builds.Load())
	}
	clk.Advance(fresh.Every)
	if got := get(t, v); got != 2 || s.builds.Load() != 2 {
		t.Fatalf("built again without a change: %d builds", s.builds.Load())
	}
	clk.Advance(-time.Hour) // a clock that steps back must not freeze the view
	s.version.Store(3)
	if got := get(t, v); got != 3 {
		t.Fatalf("frozen at %d", got)
	}
}

func TestGet_AStoreThatIsDownTakesNothingAway(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(time.Unix(0, 0))
	var s source
	s.fail.Store(true)
	v := s.view(clk)
	if _, err := v.Get(t.Context()); err == nil {
		t.Fatal("a value out of nothing")
	}
	s.fail.Store(false)
	s.version.Store(1)
	_ = get(t, v)
	s.fail.Store(true)
	clk.Advance(time.Hour)
	if got := get(t, v); got != 1 {
		t.Fatal(got)
	}
}

func TestGet_ManyReadersBuildOnce(t *testing.T) {
	t.Parallel()
	var s source
	s.version.Store(7)
	v := s.view(clock.System{})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if n, err := v.Get(t.Context()); err != nil || *n != 7 {
				t.Error(n, err)
			}
		})
	}
	wg.Wait()
	if s.builds.Load() != 1 {
		t.Fatalf("%d builds", s.builds.Load())
	}
}
