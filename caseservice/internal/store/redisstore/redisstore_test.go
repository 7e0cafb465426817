package redisstore_test

import (
	"bytes"
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

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/rate"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/signin/sessiontest"
	"ellis.example/caseservice/internal/store/redisstore"
	"ellis.example/caseservice/internal/store/redisstore/redisdb"
	"ellis.example/caseservice/internal/store/redisstore/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func store(t *testing.T, url string, key []byte, c clock.Clock) *redisstore.Store {
	t.Helper()
	db, err := redisdb.Open(t.Context(), redisdb.Config{URL: url}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s, err := redisstore.New(db, c, key)
	if err != nil {
		t.Fatal(err)
	}
	s.RateClock = c
	return s
}

func newKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return key
}

// replicas spreads its calls over stores that share a key.
type replicas struct {
	n   *atomic.Int64
	all []*redisstore.Store
}

func (r replicas) one() *redisstore.Store { return r.all[int(r.n.Add(1))%len(r.all)] }

func (r replicas) AddSession(ctx context.Context, k signin.Key, s signin.Session) error {
	return r.one().AddSession(ctx, k, s)
}

func (r replicas) Session(ctx context.Context, k signin.Key) (signin.Session, error) {
	return r.one().Session(ctx, k)
}

func (r replicas) UpdateSession(ctx context.Context, k signin.Key, f func(*signin.Session)) (signin.Session, error) {
	return r.one().UpdateSession(ctx, k, f)
}

func (r replicas) EndSession(ctx context.Context, k signin.Key) (signin.Session, error) {
	return r.one().EndSession(ctx, k)
}

func (r replicas) Count(ctx context.Context, k signin.Key, l rate.Limit) (time.Duration, error) {
	return r.one().Count(ctx, k, l)
}

func (r replicas) SpendAttempt(ctx context.Context, k signin.Key) error {
	return r.one().SpendAttempt(ctx, k)
}

func (r replicas) HoldRenewal(ctx context.Context, k signin.Key) (func(), bool, error) {
	return r.one().HoldRenewal(ctx, k)
}

func two(url string) func(*testing.T, clock.Clock) signin.Store {
	return func(t *testing.T, c clock.Clock) signin.Store {
		key := newKey()
		return replicas{new(atomic.Int64), []*redisstore.Store{store(t, url, key, c), store(t, url, key, c)}}
	}
}

func TestContract_TwoReplicas(t *testing.T) {
	t.Parallel()
	sessiontest.Contract(t, two(redistest.Shared(t).URL()))
}

func TestContract_Cluster(t *testing.T) {
	t.Parallel()
	sessiontest.Contract(t, two(redistest.OwnCluster(t).URL()))
}

// Who reads Redis takes over nobody, and who writes there makes nobody up: not even by moving a session to another key.
func TestStore_WhatRedisHoldsIsSealedAndBound(t *testing.T) {
	t.Parallel()
	srv, clk := redistest.Own(t), clock.NewFake(start)
	s := store(t, srv.URL(), newKey(), clk)
	one, other := signin.Key(ident.Hash("one")), signin.Key(ident.Hash("other"))
	v := signin.Session{Subject: "secret-sub", CreatedAt: start, LastSeen: start, Tokens: signin.Tokens{Access: "secret-a", Refresh: "secret-r"}, Claim: &signin.Claim{Code: "secret-c"}}
	if err := errors.Join(s.AddSession(t.Context(), one, v), s.AddSession(t.Context(), other, signin.Session{CreatedAt: start, LastSeen: start}), s.SpendAttempt(t.Context(), one)); err != nil {
		t.Fatal(err)
	}
	keys, err := srv.Do("KEYS", "*")
	if err != nil || len(keys.([]any)) != 3 {
		t.Fatal(keys, err)
	}
	var sessions []string
	for _, k := range keys.([]any) {
		name := k.(string)
		value, err := srv.Do("GET", name)
		if err != nil {
			t.Fatal(err)
		}
		if text := name + fmt.Sprint(value); strings.Contains(text, "secret-") || strings.Contains(text, string(one[:8])) || !strings.HasPrefix(name, redisstore.Prefix) {
			t.Errorf("%q", text)
		}
		if ttl, err := srv.Do("PTTL", name); err != nil || ttl.(int64) <= 0 {
			t.Errorf("%s is kept for ever: %v, %v", name, ttl, err)
		}
		if strings.HasPrefix(name, "portal:session:") {
			sessions = append(sessions, name)
		}
	}
	for _, from := range sessions {
		for _, to := range sessions {
			if from != to {
				if _, err := srv.Do("COPY", from, to, "REPLACE"); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	_, err1 := s.Session(t.Context(), one)
	_, err2 := s.Session(t.Context(), other)
	if (err1 == nil) == (err2 == nil) || !errors.Is(errors.Join(err1, err2), signin.ErrNoSession) {
		t.Errorf("a session that was moved: %v, %v", err1, err2)
	}
	if _, err := store(t, srv.URL(), newKey(), clk).Session(t.Context(), one); !errors.Is(err, signin.ErrNoSession) {
		t.Error("another key opens it:", err)
	}
}

// A primary that comes back with an old copy brings no session to life for longer than its own end.
func TestStore_AnOldCopyEndsAtItsTime(t *testing.T) {
	t.Parallel()
	srv, clk := redistest.Own(t), clock.NewFake(start)
	s := store(t, srv.URL(), newKey(), clk)
	k := signin.Key(ident.Hash("one"))
	if err := s.AddSession(t.Context(), k, signin.Session{CreatedAt: start, LastSeen: start}); err != nil {
		t.Fatal(err)
	}
	keys, err := srv.Do("KEYS", "*")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Do("PERSIST", keys.([]any)[0]); err != nil {
		t.Fatal(err)
	}
	clk.Advance(signin.IdleTimeout)
	if v, err := s.Session(t.Context(), k); err != nil || v.Alive(clk.Now()) {
		t.Error("alive after its end:", err)
	}
	clk.Advance(signin.AttemptLifetime)
	if _, err := s.Session(t.Context(), k); !errors.Is(err, signin.ErrNoSession) {
		t.Error(err)
	}
}

// One browser asks much at once: each request that wrote would make all others begin anew, until none was answered.
func TestUpdateSession_ACrowdInOneSessionIsServed(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start)
	s := store(t, redistest.Shared(t).URL(), newKey(), clk)
	k := signin.Key(ident.Hash("one"))
	if err := s.AddSession(t.Context(), k, signin.Session{CreatedAt: start, LastSeen: start}); err != nil {
		t.Fatal(err)
	}
	clk.Advance(time.Minute)
	var tries atomic.Int64
	var all sync.WaitGroup
	const crowd = 300
	for range crowd {
		all.Go(func() {
			if _, err := s.UpdateSession(t.Context(), k, func(v *signin.Session) {
				tries.Add(1)
				if v.LastSeen.Before(clk.Now()) {
					v.LastSeen = clk.Now()
				}
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := tries.Load(); n > 3*crowd {
		t.Errorf("%d tries for %d requests", n, crowd)
	}
}

// An answer that was lost is asked for again: what was written was written once.
func TestStore_TheSameWriteTwiceHasSucceeded(t *testing.T) {
	t.Parallel()
	p := redistest.Before(t, redistest.Own(t))
	s := store(t, p.URL(), newKey(), clock.NewFake(start))
	k := signin.Key(ident.Hash("one"))
	if err := s.AddSession(t.Context(), k, signin.Session{CreatedAt: start, LastSeen: start}); err != nil {
		t.Fatal(err)
	}
	for i := range 2 { // the first time the scripts are told to the server
		k2 := signin.Key(ident.Hash(string(rune('a' + i))))
		note := func(v *signin.Session) { v.Notice += "x" }
		lose := func(after int) {
			if i > 0 {
				p.Lose(after)
			}
		}
		lose(0)
		if err := s.SpendAttempt(t.Context(), k2); err != nil || !p.Lost() {
			t.Error(err, p.Lost())
		}
		lose(1)
		if v, err := s.UpdateSession(t.Context(), k, note); err != nil || len(v.Notice) != i+1 || !p.Lost() {
			t.Error(v.Notice, err, p.Lost())
		}
		lose(0)
		if _, ok, err := s.HoldRenewal(t.Context(), k2); err != nil || !ok || !p.Lost() {
			t.Error(ok, err, p.Lost())
		}
		if err := s.AddSession(t.Context(), k2, signin.Session{Subject: "sub", CreatedAt: start, LastSeen: start}); err != nil {
			t.Error(err)
		}
		lose(0)
		if v, err := s.EndSession(t.Context(), k2); err != nil || v.Subject != "sub" || !p.Lost() {
			t.Error("who ends a session learns what it was:", v, err, p.Lost())
		}
		if _, err := s.Session(t.Context(), k2); !errors.Is(err, signin.ErrNoSession) {
			t.Error("it goes on:", err)
		}
	}
}

func TestStore_SaysThatRedisDoesNotAnswer(t *testing.T) {
	t.Parallel()
	srv := redistest.Own(t)
	s := store(t, srv.URL(), newKey(), clock.NewFake(start))
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	k := signin.Key(ident.Hash("one"))
	_, err1 := s.Session(t.Context(), k)
	_, err2 := s.UpdateSession(t.Context(), k, func(*signin.Session) {})
	_, err3 := s.EndSession(t.Context(), k)
	_, _, err4 := s.HoldRenewal(t.Context(), k)
	_, err5 := s.Count(t.Context(), k, signin.DefaultLimit())
	for i, err := range []error{err1, err2, err3, err4, err5, s.AddSession(t.Context(), k, signin.Session{}), s.SpendAttempt(t.Context(), k)} {
		if !fault.Is(err, fault.Unavailable) || fault.Of(err).RetryAfter == 0 {
			t.Errorf("%d: %v", i, err)
		}
	}
	if _, err := redisstore.New(nil, clock.System{}, bytes.Repeat([]byte{1}, 16)); err == nil {
		t.Error("a short key is taken")
	}
}

// documented is the access list of docs/operations/redis.md.
const documented = "user portal on >PASSWORD resetkeys ~portal:* resetchannels -@all +hello +auth +select +ping +info +time +eval +evalsha +get +set +del"

func TestContract_UnderTheDocumentedAccessList(t *testing.T) {
	t.Parallel()
	if text, err := os.ReadFile("../../../../docs/operations/redis.md"); err != nil {
		t.Log("the documentation is not beside this module: nothing to compare with")
	} else if !strings.Contains(string(text), documented+"\n") {
		t.Error("the documentation says otherwise")
	}
	srv := redistest.Own(t)
	args := []any{"ACL", "SETUSER"}
	for _, word := range strings.Fields(documented)[1:] {
		args = append(args, word)
	}
	if _, err := srv.Do(args...); err != nil {
		t.Fatal(err)
	}
	own := store(t, "redis://portal:PASSWORD@"+srv.Addr(), newKey(), clock.NewFake(start))
	own.RateClock = nil
	if _, err := own.Count(t.Context(), signin.Key(ident.Hash("one")), signin.DefaultLimit()); err != nil {
		t.Error("by Redis's own clock:", err)
	}
	t.Run("contract", func(t *testing.T) { sessiontest.Contract(t, two("redis://portal:PASSWORD@"+srv.Addr())) })
}
