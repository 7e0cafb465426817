package memstore_test

import (
	"fmt"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/store/memstore"
	"ellis.example/idp/internal/store/storetest"
)

var t0 = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func TestContract_Volatile(t *testing.T) {
	t.Parallel()
	storetest.Volatile(t, func(_ *testing.T, c clock.Clock) *memstore.Store { return memstore.New(c) })
}

func TestPut_IsBoundedAndRecovers(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(t0)
	s := memstore.New(clk)
	var refused error
	for i := 0; refused == nil && i < 1<<20; i++ {
		refused = s.Put(t.Context(), "code", fmt.Sprint(i), nil, time.Minute)
	}
	if !fault.Is(refused, fault.Unavailable) || fault.Of(refused).RetryAfter == 0 {
		t.Fatalf("a full store answers %v", refused)
	}
	clk.Advance(time.Minute)
	for i := range 1000 {
		if err := s.Put(t.Context(), "code", fmt.Sprint("new", i), nil, time.Minute); err != nil {
			t.Fatal("still full after everything expired:", err)
		}
	}
}
