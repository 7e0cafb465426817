package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/rate"
	"ellis.example/idp/internal/throttle"
)

// Rates checks limits of requests. open returns a store that goes by the clock.
func Rates[S throttle.Rates](t *testing.T, open func(*testing.T, clock.Clock) S) {
	fresh := func(t *testing.T) (S, *clock.Fake) {
		t.Parallel()
		clk := clock.NewFake(throttleTime)
		return open(t, clk), clk
	}
	t.Run("a burst passes, then the rate", func(t *testing.T) { s, clk := fresh(t); burstThenRate(t, s, clk) })
	t.Run("of many at once no more pass than the burst", func(t *testing.T) { s, _ := fresh(t); exactBurst(t, s) })
	t.Run("keys do not share", func(t *testing.T) { s, _ := fresh(t); ratesAlone(t, s) })
	t.Run("no limit lets everything through", func(t *testing.T) {
		s, _ := fresh(t)
		for range 1000 {
			allowed(t, s, "any", rate.Limit{}, true)
		}
	})
}

func allowed(t *testing.T, s throttle.Rates, key string, l rate.Limit, want bool) time.Duration {
	t.Helper()
	ok, wait, err := s.Allow(t.Context(), key, l)
	if err != nil || ok != want || ok != (wait == 0) {
		t.Fatalf("%s: allowed %v, to wait %v, %v; want %v", key, ok, wait, err, want)
	}
	return wait
}

func burstThenRate(t *testing.T, s throttle.Rates, clk *clock.Fake) {
	l := rate.PerSecond(2, 3)
	for range 3 {
		allowed(t, s, "a", l, true)
	}
	for range 5 { // a refused request costs nothing
		if wait := allowed(t, s, "a", l, false); wait != 500*time.Millisecond {
			t.Fatalf("to wait %v", wait)
		}
	}
	clk.Advance(500*time.Millisecond - time.Microsecond)
	allowed(t, s, "a", l, false)
	clk.Advance(time.Microsecond)
	allowed(t, s, "a", l, true)
	allowed(t, s, "a", l, false)
	clk.Advance(time.Hour)
	for range 3 {
		allowed(t, s, "a", l, true)
	}
	allowed(t, s, "a", l, false)
}

func exactBurst(t *testing.T, s throttle.Rates) {
	l := rate.PerSecond(1, 20)
	for round := range 10 {
		key := fmt.Sprint("round", round)
		var passed atomic.Int64
		var wg sync.WaitGroup
		for range Racers {
			wg.Go(func() {
				ok, _, err := s.Allow(t.Context(), key, l)
				if err != nil {
					t.Error(err)
				}
				if ok {
					passed.Add(1)
				}
			})
		}
		wg.Wait()
		if passed.Load() != 20 {
			t.Fatalf("%d passed, want 20", passed.Load())
		}
	}
}

func ratesAlone(t *testing.T, s throttle.Rates) {
	l := rate.PerSecond(1, 1)
	for i := range 1000 {
		allowed(t, s, fmt.Sprint("key", i), l, true)
	}
	for i := range 1000 {
		allowed(t, s, fmt.Sprint("key", i), l, false)
	}
}
