package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/rate"
	"ellis.example/idp/internal/store/memstore"
	"ellis.example/idp/internal/store/redisstore"
	"ellis.example/idp/internal/store/redisstore/redisdb"
	"ellis.example/idp/internal/store/redisstore/redistest"
	"ellis.example/idp/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

var t0 = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func newKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return key
}

func dial(t *testing.T, url string) *redisdb.DB {
	t.Helper()
	db, err := redisdb.Open(t.Context(), redisdb.Config{URL: url}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// store is one replica's: those with one key share everything.
func store(t *testing.T, url string, key []byte, c clock.Clock, change ...func(*redisstore.Options)) *redisstore.Store {
	t.Helper()
	o := redisstore.Options{Key: key, Clock: c, Local: memstore.New(c), RateClock: c}
	for _, f := range change {
		f(&o)
	}
	s, err := redisstore.New(dial(t, url), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract_Volatile(t *testing.T) {
	t.Parallel()
	storetest.Volatile(t, func(t *testing.T, c clock.Clock) *redisstore.Store {
		return store(t, redistest.Shared(t).URL(), newKey(), c)
	})
}

func TestContract_Rates(t *testing.T) {
	t.Parallel()
	storetest.Rates(t, func(t *testing.T, c clock.Clock) *redisstore.Store {
		return store(t, redistest.Shared(t).URL(), newKey(), c)
	})
}

// replicas spreads its calls over stores that share a key.
type replicas struct {
	n   atomic.Int64
	all []*redisstore.Store
}

func (r *replicas) one() *redisstore.Store { return r.all[int(r.n.Add(1))%len(r.all)] }

func (r *replicas) PutFlow(ctx context.Context, f flow.Flow) error { return r.one().PutFlow(ctx, f) }

func (r *replicas) GetFlow(ctx context.Context, id string) (flow.Flow, error) {
	return r.one().GetFlow(ctx, id)
}
func (r *replicas) DeleteFlow(ctx context.Context, id string) error {
	return r.one().DeleteFlow(ctx, id)
}
func (r *replicas) PutCode(ctx context.Context, h [32]byte, c grant.Code) error {
	return r.one().PutCode(ctx, h, c)
}

func (r *replicas) GetCode(ctx context.Context, h [32]byte) (grant.Code, error) {
	return r.one().GetCode(ctx, h)
}
func (r *replicas) DeleteCode(ctx context.Context, h [32]byte) error {
	return r.one().DeleteCode(ctx, h)
}
func (r *replicas) Put(ctx context.Context, kind, id string, v []byte, ttl time.Duration) error {
	return r.one().Put(ctx, kind, id, v, ttl)
}

func (r *replicas) Get(ctx context.Context, kind, id string) ([]byte, bool, error) {
	return r.one().Get(ctx, kind, id)
}

func (r *replicas) Delete(ctx context.Context, kind, id string) error {
	return r.one().Delete(ctx, kind, id)
}

func (r *replicas) Allow(ctx context.Context, key string, l rate.Limit) (bool, time.Duration, error) {
	return r.one().Allow(ctx, key, l)
}

func twoReplicas(url string) func(*testing.T, clock.Clock) *replicas {
	return func(t *testing.T, c clock.Clock) *replicas {
		key := newKey()
		return &replicas{all: []*redisstore.Store{store(t, url, key, c), store(t, url, key, c)}}
	}
}

func TestContract_TwoReplicas(t *testing.T) {
	t.Parallel()
	open := twoReplicas(redistest.Shared(t).URL())
	t.Run("volatile", func(t *testing.T) { t.Parallel(); storetest.Volatile(t, open) })
	t.Run("rates", func(t *testing.T) { t.Parallel(); storetest.Rates(t, open) })
}

func TestContract_Cluster(t *testing.T) {
	t.Parallel()
	c := redistest.OwnCluster(t)
	t.Run("contract", func(t *testing.T) {
		open := twoReplicas(c.URL())
		t.Run("volatile", func(t *testing.T) { t.Parallel(); storetest.Volatile(t, open) })
		t.Run("rates", func(t *testing.T) { t.Parallel(); storetest.Rates(t, open) })
	})
	s := store(t, c.URL(), newKey(), clock.System{})
	if err := c.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	writesAgain(t, s)
}

func TestContract_Sentinel(t *testing.T) {
	t.Parallel()
	g := redistest.OwnSentinel(t)
	t.Run("contract", func(t *testing.T) {
		open := twoReplicas(g.URL())
		t.Run("volatile", func(t *testing.T) { t.Parallel(); storetest.Volatile(t, open) })
	})
	s := store(t, g.URL(), newKey(), clock.System{})
	if err := g.Servers[0].Pause(); err != nil { // it comes back, and believes that it is the primary still
		t.Fatal(err)
	}
	writesAgain(t, s)
	if err := g.Servers[0].Resume(); err != nil {
		t.Fatal(err)
	}
	writesAgain(t, s)
}

// writesAgain fails the test unless everything can be written within ten seconds: 32 flows lie in as many slots.
func writesAgain(t *testing.T, s *redisstore.Store) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for good := 0; good < 32; good++ {
		f := flow.Flow{ID: ident.New("flw"), ExpiresAt: time.Now().Add(time.Minute)}
		err := s.PutFlow(t.Context(), f)
		if err == nil {
			continue
		}
		if !fault.Is(err, fault.Unavailable) || time.Now().After(end) {
			t.Fatal(err)
		}
		good = -1
		time.Sleep(50 * time.Millisecond)
	}
}

// Who reads Redis learns nothing of anybody, and who writes there makes nothing up: not even by moving a value to another key.
func TestStore_WhatRedisHoldsIsSealedAndBound(t *testing.T) {
	t.Parallel()
	srv, clk := redistest.Own(t), clock.NewFake(t0)
	s := store(t, srv.URL(), newKey(), clk)
	f := flow.Flow{ID: "flw_secret-1", ExpiresAt: t0.Add(time.Minute), Pending: &flow.Pending{Account: "acc_secret-2"}}
	one, two := ident.Hash("one"), ident.Hash("two")
	code := grant.Code{Grant: grant.Grant{Account: "acc_secret-3"}, ExpiresAt: t0.Add(time.Minute)}
	if err := errors.Join(s.PutFlow(t.Context(), f), s.PutCode(t.Context(), one, code), s.PutCode(t.Context(), two, code)); err != nil {
		t.Fatal(err)
	}
	if ok, _, err := s.Allow(t.Context(), "form 192.0.2.77", rate.PerSecond(1, 100)); err != nil || !ok {
		t.Fatal(ok, err)
	}
	var dump strings.Builder
	keys, err := srv.Do("KEYS", "*")
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, k := range keys.([]any) {
		key := k.(string)
		ttl, err := srv.Do("PTTL", key)
		if err != nil || ttl.(int64) <= 0 || ttl.(int64) > flow.Lifetime.Milliseconds() {
			t.Errorf("%s lives for %v ms, %v", key, ttl, err)
		}
		if !strings.HasPrefix(key, redisstore.Prefix) {
			t.Error(key, "is under no prefix")
		}
		fmt.Fprintln(&dump, key)
		switch {
		case strings.HasPrefix(key, "idp:code:"):
			codes = append(codes, key)
			v, _ := srv.Do("GET", key)
			fmt.Fprintln(&dump, v)
		case strings.HasPrefix(key, "idp:flow:") && !strings.HasSuffix(key, "proven"):
			v, _ := srv.Do("HGETALL", key)
			fmt.Fprintln(&dump, v)
		}
	}
	for _, secret := range []string{"secret-", "192.0.2.77", string(one[:8])} {
		if strings.Contains(dump.String(), secret) {
			t.Errorf("%q is there to be read", secret)
		}
	}
	if len(codes) != 2 {
		t.Fatal(codes)
	}
	if _, err := srv.Do("COPY", codes[0], codes[1], "REPLACE"); err != nil {
		t.Fatal(err)
	}
	_, err1 := s.GetCode(t.Context(), one)
	_, err2 := s.GetCode(t.Context(), two)
	if (err1 == nil) == (err2 == nil) || !errors.Is(errors.Join(err1, err2), grant.ErrNotFound) {
		t.Errorf("a code that was moved: %v, %v", err1, err2)
	}
	other := store(t, srv.URL(), newKey(), clk)
	if _, err := other.GetCode(t.Context(), one); !errors.Is(err, grant.ErrNotFound) {
		t.Error("another deployment reads it")
	}
}

// Redis may be told to keep a value longer: its end is inside the seal.
func TestStore_AValueEndsWhateverRedisSays(t *testing.T) {
	t.Parallel()
	srv, clk := redistest.Own(t), clock.NewFake(t0)
	s := store(t, srv.URL(), newKey(), clk)
	if err := s.Put(t.Context(), "note", "a", []byte("v"), time.Minute); err != nil {
		t.Fatal(err)
	}
	keys, err := srv.Do("KEYS", "*")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Do("PERSIST", keys.([]any)[0]); err != nil {
		t.Fatal(err)
	}
	clk.Advance(time.Minute)
	if _, ok, err := s.Get(t.Context(), "note", "a"); ok || err != nil {
		t.Fatal(ok, err)
	}
}

// An answer that was lost is asked for again: the write has succeeded, and nobody else's is taken for it.
func TestPutFlow_TheSameWriteTwiceHasSucceeded(t *testing.T) {
	t.Parallel()
	p := redistest.Before(t, redistest.Own(t))
	s := store(t, p.URL(), newKey(), clock.NewFake(t0))
	f := flow.Flow{ID: "flw_1", ExpiresAt: t0.Add(time.Minute)}
	if err := s.PutFlow(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	p.Lose(0)
	f.Version = 1
	if err := s.PutFlow(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if got, err := s.GetFlow(t.Context(), f.ID); err != nil || got.Version != 2 || !p.Lost() {
		t.Fatal(got.Version, err, p.Lost())
	}
}

func TestPutFlow_AFloodGivesUpTheOldestAndNobodyWhoHasProvenSomething(t *testing.T) {
	t.Parallel()
	srv, clk := redistest.Own(t), clock.NewFake(t0)
	s := store(t, srv.URL(), newKey(), clk)
	put := func(id string, known bool) {
		if err := s.PutFlow(t.Context(), flow.Flow{ID: id, ExpiresAt: clk.Now().Add(flow.Lifetime), Known: known}); err != nil {
			t.Error(id, err)
		}
	}
	has := func(id string) bool {
		_, err := s.GetFlow(t.Context(), id)
		return err == nil
	}
	const most = 64 * 512
	put("first", false)
	put("known", true)
	grown := flow.Flow{ID: "grown", ExpiresAt: clk.Now().Add(flow.Lifetime)}
	put("grown", false)
	grown.Version, grown.Known = 1, true
	if err := s.PutFlow(t.Context(), grown); err != nil {
		t.Fatal(err)
	}
	clk.Advance(time.Second)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range most * 5 / 4 / 16 {
				put(fmt.Sprint("flood", w, "-", i), false)
			}
		})
	}
	wg.Wait()
	clk.Advance(time.Second)
	put("last", false)
	n, err := srv.Do("DBSIZE")
	if err != nil || n.(int64) > most+200 || n.(int64) < most*9/10 {
		t.Errorf("%v keys, %v", n, err)
	}
	if has("first") || !has("last") || !has("known") || !has("grown") {
		t.Error("the oldest stranger stays, or somebody else went:", has("first"), has("last"), has("known"), has("grown"))
	}
}

func TestAllow_CountsByOneClockWhateverReplicasThinkTheTimeIs(t *testing.T) {
	t.Parallel()
	url, key := redistest.Shared(t).URL(), newKey()
	own := func(o *redisstore.Options) { o.RateClock = nil }
	ahead, behind := store(t, url, key, clock.NewFake(t0.Add(time.Hour)), own), store(t, url, key, clock.NewFake(t0), own)
	l := rate.PerHour(10)
	passed := 0
	for range 10 {
		for _, s := range []*redisstore.Store{ahead, behind} {
			if ok, _, err := s.Allow(t.Context(), "a", l); err != nil {
				t.Fatal(err)
			} else if ok {
				passed++
			}
		}
	}
	if passed != 10 {
		t.Errorf("%d passed, want 10", passed)
	}
}

// However Redis loses its counts, a replica lets through no more than it would alone.
func TestAttack_F08_LossOfTheCountsWidensNoLimitButByTheReplicas(t *testing.T) {
	t.Parallel()
	srv, clk := redistest.Own(t), clock.NewFake(t0)
	key, l := newKey(), rate.PerHour(10)
	var alone atomic.Int64
	counted := func(o *redisstore.Options) {
		o.Observe = func(what string) {
			if what == "rate_alone" {
				alone.Add(1)
			}
		}
	}
	all := []*redisstore.Store{store(t, srv.URL(), key, clk, counted), store(t, srv.URL(), key, clk, counted)}
	passed := 0
	round := func() {
		t.Helper()
		for range 20 {
			for _, s := range all {
				if ok, _, err := s.Allow(t.Context(), "a", l); err != nil {
					t.Fatal(err)
				} else if ok {
					passed++
				}
			}
		}
	}
	if round(); passed != 10 || alone.Load() != 0 {
		t.Fatalf("%d passed with Redis, %d alone", passed, alone.Load())
	}
	for range 3 {
		if err := srv.FlushAll(); err != nil {
			t.Fatal(err)
		}
		round()
	}
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	round()
	if passed > 2*10 || alone.Load() == 0 {
		t.Fatalf("%d passed, want 20 at the most; %d alone", passed, alone.Load())
	}
	if err := srv.Restart(); err != nil {
		t.Fatal(err)
	}
	clk.Advance(time.Hour)
	before := alone.Load()
	passed = 0
	if round(); passed != 10 || alone.Load() != before {
		t.Fatalf("after its return %d passed, %d alone", passed, alone.Load()-before)
	}
}
