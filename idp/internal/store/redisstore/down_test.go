package redisstore_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/store/redisstore/redistest"
)

func TestStore_SaysThatRedisDoesNotAnswerAndSoon(t *testing.T) {
	t.Parallel()
	srv, clk := redistest.Own(t), clock.NewFake(t0)
	s := store(t, srv.URL(), newKey(), clk)
	f := flow.Flow{ID: "flw_1", ExpiresAt: t0.Add(time.Minute)}
	if err := s.PutFlow(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if err := srv.Pause(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, _, err1 := s.Get(t.Context(), "note", "a")
	_, err2 := s.GetFlow(t.Context(), f.ID)
	_, err3 := s.GetCode(t.Context(), ident.Hash("a"))
	err4, err5 := s.PutFlow(t.Context(), f), s.PutCode(t.Context(), ident.Hash("a"), grant.Code{ExpiresAt: t0.Add(time.Minute)})
	for i, err := range []error{err1, err2, err3, err4, err5, s.Put(t.Context(), "note", "a", nil, time.Minute)} {
		if !fault.Is(err, fault.Unavailable) || fault.Of(err).RetryAfter == 0 {
			t.Errorf("%d: %v", i, err)
		}
	}
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("six answers took %v", took)
	}
	if err := srv.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetFlow(t.Context(), f.ID); err != nil {
		t.Error("after its return:", err)
	}
}

// A full server refuses what is new; it is said as what it is, and nothing that is there goes.
func TestStore_AFullServerRefuses(t *testing.T) {
	t.Parallel()
	srv, clk := redistest.Own(t, "--maxmemory", "3mb"), clock.NewFake(t0)
	s := store(t, srv.URL(), newKey(), clk)
	var full error
	n := 0
	for ; full == nil && n < 2000; n++ {
		full = s.Put(t.Context(), "note", fmt.Sprint(n), bytes.Repeat([]byte("x"), 4096), time.Minute)
	}
	if !fault.Is(full, fault.Unavailable) {
		t.Fatal(n, full)
	}
	for i := range n - 1 {
		if _, ok, err := s.Get(t.Context(), "note", fmt.Sprint(i)); !ok || err != nil {
			t.Fatal(i, ok, err)
		}
	}
}
