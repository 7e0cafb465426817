package memstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/store/memstore"
)

var t0 = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func TestPut_LivesForItsTimeAndNoLonger(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(t0)
	s := memstore.New(clk)
	if err := s.Put(t.Context(), "code", "a", []byte("v"), time.Minute); err != nil {
		t.Fatal(err)
	}
	clk.Advance(time.Minute - 1)
	if v, _, ok, _ := s.Get(t.Context(), "code", "a"); !ok || !bytes.Equal(v, []byte("v")) {
		t.Fatal("gone before its time")
	}
	if _, _, ok, _ := s.Get(t.Context(), "flow", "a"); ok {
		t.Fatal("one kind answers for another")
	}
	clk.Advance(1)
	if _, _, ok, _ := s.Get(t.Context(), "code", "a"); ok {
		t.Fatal("alive after its time")
	}
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

func TestPutFlow_OneOfManyWritersWins(t *testing.T) {
	t.Parallel()
	s := memstore.New(clock.NewFake(t0))
	f := flow.Flow{ID: "flw_1", ExpiresAt: t0.Add(time.Minute)}
	if err := s.PutFlow(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	f, err := s.GetFlow(t.Context(), f.ID)
	if err != nil || f.Version != 1 {
		t.Fatal(f.Version, err)
	}
	var wins atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			switch err := s.PutFlow(t.Context(), f); {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, flow.ErrStale):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Fatalf("%d writers won", wins.Load())
	}
	if err := s.DeleteFlow(t.Context(), f.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetFlow(t.Context(), f.ID); !errors.Is(err, flow.ErrNotFound) {
		t.Fatalf("after deletion: %v", err)
	}
}

func TestPutFlow_AFlowOfAWrongClockLivesNoLongerThanAnother(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(t0)
	s := memstore.New(clk)
	if err := s.PutFlow(t.Context(), flow.Flow{ID: "flw_1", ExpiresAt: t0.AddDate(10, 0, 0)}); err != nil {
		t.Fatal(err)
	}
	clk.Advance(flow.Lifetime)
	if _, err := s.GetFlow(t.Context(), "flw_1"); !errors.Is(err, flow.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
}
