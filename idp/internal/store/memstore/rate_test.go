package memstore

import (
	"fmt"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/rate"
	"ellis.example/idp/internal/store/storetest"
)

func TestContract_Rates(t *testing.T) {
	t.Parallel()
	storetest.Rates(t, func(_ *testing.T, c clock.Clock) *Store { return New(c) })
}

func TestAllow_IsBoundedAndKeepsWhoAsksMost(t *testing.T) {
	t.Parallel()
	s := New(clock.NewFake(time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)))
	l := rate.PerSecond(1, 100)
	for range 100 {
		if ok, _, _ := s.Allow(t.Context(), "loud", l); !ok {
			t.Fatal("within the burst")
		}
	}
	for i := range 2 * maxRates {
		if ok, _, _ := s.Allow(t.Context(), fmt.Sprint("passer-by ", i), l); !ok {
			t.Fatal("a new key is refused")
		}
	}
	n := 0
	for i := range s.rates {
		n += len(s.rates[i].m)
	}
	if n > maxRates {
		t.Fatalf("%d keys are kept", n)
	}
	if ok, _, _ := s.Allow(t.Context(), "loud", l); ok {
		t.Fatal("a crowd made the store forget who asks most")
	}
}
