package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
)

// VolatileStore is what Volatile needs.
type VolatileStore interface {
	flow.Store
	grant.CodeStore
	Put(ctx context.Context, kind, id string, value []byte, ttl time.Duration) error
	Get(ctx context.Context, kind, id string) (value []byte, ok bool, err error)
	Delete(ctx context.Context, kind, id string) error
}

var volatileTime = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// Volatile checks what may be lost at the cost of one retry. open returns a fresh store that goes by the clock.
func Volatile[S VolatileStore](t *testing.T, open func(*testing.T, clock.Clock) S) {
	for name, check := range map[string]func(*testing.T, VolatileStore, *clock.Fake){
		"a value lives for its time and no longer": valueLives, "kinds and keys are apart": kindsApart, "what is deleted is gone": deletedIsGone,
		"a code comes back as it was": codeComesBack, "one of many writers of a flow wins": oneWriterWins, "a flow comes back as it was": flowComesBack,
		"a flow that ended may begin anew": flowBeginsAnew, "a flow of a wrong clock lives no longer than another": flowOfAWrongClock, "a flow is bounded": flowIsBounded,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := clock.NewFake(volatileTime)
			check(t, open(t, clk), clk)
		})
	}
}

func put(t *testing.T, s VolatileStore, kind, id, value string, ttl time.Duration) {
	t.Helper()
	if err := s.Put(t.Context(), kind, id, []byte(value), ttl); err != nil {
		t.Fatal(err)
	}
}

// holds fails the test unless kind and id have the value; empty: none.
func holds(t *testing.T, s VolatileStore, kind, id, want string) {
	t.Helper()
	if v, ok, err := s.Get(t.Context(), kind, id); err != nil || ok != (want != "") || string(v) != want {
		t.Fatalf("%s %s: %q, %v, %v; want %q", kind, id, v, ok, err, want)
	}
}

func valueLives(t *testing.T, s VolatileStore, clk *clock.Fake) {
	put(t, s, "note", "a", "v", time.Minute)
	clk.Advance(time.Minute - time.Microsecond)
	holds(t, s, "note", "a", "v")
	clk.Advance(time.Microsecond)
	holds(t, s, "note", "a", "")
	put(t, s, "note", "a", "w", time.Minute)
	put(t, s, "note", "a", "x", time.Minute)
	holds(t, s, "note", "a", "x")
}

func kindsApart(t *testing.T, s VolatileStore, _ *clock.Fake) {
	put(t, s, "note", "a", "v", time.Minute)
	put(t, s, "note", "a\x00b", "w", time.Minute)
	put(t, s, "note\x00a", "b", "x", time.Minute)
	holds(t, s, "note", "a", "v")
	holds(t, s, "other", "a", "")
	holds(t, s, "note", "b", "")
}

func deletedIsGone(t *testing.T, s VolatileStore, _ *clock.Fake) {
	put(t, s, "note", "a", "v", time.Minute)
	f := aFlow("flw_1")
	if err := errors.Join(s.PutFlow(t.Context(), f), s.PutCode(t.Context(), ident.Hash("c"), grant.Code{ExpiresAt: f.ExpiresAt})); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is no error if there is nothing
		if err := errors.Join(s.Delete(t.Context(), "note", "a"), s.DeleteFlow(t.Context(), f.ID), s.DeleteCode(t.Context(), ident.Hash("c"))); err != nil {
			t.Fatal(err)
		}
	}
	holds(t, s, "note", "a", "")
	if _, err := s.GetFlow(t.Context(), f.ID); !errors.Is(err, flow.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := s.GetCode(t.Context(), ident.Hash("c")); !errors.Is(err, grant.ErrNotFound) {
		t.Fatal(err)
	}
}

func codeComesBack(t *testing.T, s VolatileStore, clk *clock.Fake) {
	want := grant.Code{
		Grant:       grant.Grant{ID: "grt_1", Account: "acc_1", Scopes: []string{"openid"}, AuthTime: volatileTime, Nonce: "n\u2028<&>"},
		RedirectURI: "https://app.example/cb?a=b&c=d", Challenge: "ch", ExpiresAt: volatileTime.Add(time.Minute),
	}
	if err := s.PutCode(t.Context(), ident.Hash("a"), want); err != nil {
		t.Fatal(err)
	}
	got, err := s.GetCode(t.Context(), ident.Hash("a"))
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%v, %v; want %v", got, err, want)
	}
	if _, err := s.GetCode(t.Context(), ident.Hash("b")); !errors.Is(err, grant.ErrNotFound) {
		t.Fatal(err)
	}
	clk.Advance(time.Minute)
	if _, err := s.GetCode(t.Context(), ident.Hash("a")); !errors.Is(err, grant.ErrNotFound) {
		t.Fatal("it outlives its time:", err)
	}
}

func aFlow(id string) flow.Flow {
	return flow.Flow{ID: id, Kind: flow.Authorization, StartedAt: volatileTime, ExpiresAt: volatileTime.Add(flow.Lifetime), Request: url.Values{"state": {"s<&>"}}}
}

func flowComesBack(t *testing.T, s VolatileStore, _ *clock.Fake) {
	f := aFlow("flw_1")
	f.Browser, f.Pending = ident.Hash("b"), &flow.Pending{Account: "acc_1", At: volatileTime, Cookie: ident.Hash("c")}
	for version := range int64(3) {
		if err := s.PutFlow(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		got, err := s.GetFlow(t.Context(), f.ID)
		if f.Version++; err != nil || got.Version != version+1 || fmt.Sprint(*got.Pending) != fmt.Sprint(*f.Pending) || got.Request.Get("state") != "s<&>" || got.Browser != f.Browser {
			t.Fatalf("%+v, %v; want %+v", got, err, f)
		}
	}
	old := f
	old.Version = 1
	if err := s.PutFlow(t.Context(), old); !errors.Is(err, flow.ErrStale) {
		t.Fatal("an old version took the place of a new one:", err)
	}
	ahead := aFlow("flw_2")
	ahead.Version = 1
	if err := s.PutFlow(t.Context(), ahead); !errors.Is(err, flow.ErrStale) {
		t.Fatal("the second version of nothing was kept:", err)
	}
}

func oneWriterWins(t *testing.T, s VolatileStore, _ *clock.Fake) {
	f := aFlow("flw_1")
	for version := range int64(5) {
		var wins atomic.Int64
		var wg sync.WaitGroup
		for i := range Racers {
			wg.Go(func() {
				mine := f
				mine.Txn = fmt.Sprint(i)
				switch err := s.PutFlow(t.Context(), mine); {
				case err == nil:
					wins.Add(1)
				case !errors.Is(err, flow.ErrStale):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got, err := s.GetFlow(t.Context(), f.ID)
		if wins.Load() != 1 || err != nil || got.Version != version+1 {
			t.Fatalf("%d writers won, version %d, %v", wins.Load(), got.Version, err)
		}
		f = got
	}
}

func flowBeginsAnew(t *testing.T, s VolatileStore, clk *clock.Fake) {
	f := aFlow("flw_1")
	if err := s.PutFlow(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	clk.Advance(flow.Lifetime - time.Microsecond)
	if _, err := s.GetFlow(t.Context(), f.ID); err != nil {
		t.Fatal("gone before its time:", err)
	}
	clk.Advance(time.Microsecond)
	if _, err := s.GetFlow(t.Context(), f.ID); !errors.Is(err, flow.ErrNotFound) {
		t.Fatal("alive after its time:", err)
	}
	f.ExpiresAt = clk.Now().Add(time.Minute)
	if err := s.PutFlow(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func flowOfAWrongClock(t *testing.T, s VolatileStore, clk *clock.Fake) {
	f := aFlow("flw_1")
	f.ExpiresAt = volatileTime.AddDate(10, 0, 0)
	if err := s.PutFlow(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	clk.Advance(flow.Lifetime)
	if _, err := s.GetFlow(t.Context(), f.ID); !errors.Is(err, flow.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
}

func flowIsBounded(t *testing.T, s VolatileStore, _ *clock.Fake) {
	f := aFlow("flw_1")
	f.Request.Set("nonce", strings.Repeat("\x01", flow.MaxSize/6)) // six bytes each
	if err := s.PutFlow(t.Context(), f); !errors.Is(err, flow.ErrTooLarge) {
		t.Fatal(err)
	}
	if _, err := s.GetFlow(t.Context(), f.ID); !errors.Is(err, flow.ErrNotFound) {
		t.Fatal(err)
	}
	f.Request = url.Values{"state": {string(bytes.Repeat([]byte("x"), flow.MaxSize-1500))}}
	if err := s.PutFlow(t.Context(), f); err != nil {
		t.Fatal("it is within its bounds:", err)
	}
}
