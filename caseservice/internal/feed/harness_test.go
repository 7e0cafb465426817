package feed_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/feed"
	"ellis.example/caseservice/internal/issuer"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// follower is a feed with an issuer of its own, and what was observed.
type follower struct {
	*feed.Feed
	t      testing.TB
	issuer *issuertest.Issuer
	keys   *issuer.Issuer // as the feed knows it
	clock  *clock.Fake
	stop   func()

	applied, refused, passed atomic.Int64
	delay                    atomic.Int64
	log                      syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// idle returns a feed that is not followed yet.
func idle(t testing.TB) *follower {
	t.Helper()
	c := clock.NewFake(start)
	f := &follower{t: t, issuer: issuertest.Start(t, c), clock: c}
	f.issuer.Hold(100 * time.Millisecond)
	log := slog.New(slog.NewJSONHandler(&f.log, nil))
	f.keys = issuer.New(issuer.Options{URL: f.issuer.URL, Clock: c, Log: log})
	f.Feed = feed.New(feed.Options{
		Issuer: f.keys, Audience: issuertest.Audience,
		ClientID: issuertest.ClientID, Secret: issuertest.ClientSecret, Clock: c, Log: log,
		Observe: feed.Observer{
			Applied: func(_ string, d time.Duration) { f.applied.Add(1); f.delay.Store(int64(d)) },
			Refused: func() { f.refused.Add(1) },
			Passed:  func(n int) { f.passed.Add(int64(n)) },
		},
	})
	return f
}

// following returns a feed that is followed and fresh.
func following(t testing.TB) *follower {
	t.Helper()
	f := idle(t)
	f.begin()
	f.until("the feed is fresh", f.Fresh)
	return f
}

func (f *follower) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.Follow(ctx) })
	f.stop = func() { cancel(); running.Wait() }
	f.t.Cleanup(f.stop)
}

func (f *follower) until(what string, holds func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("not in time: %s\n%s", what, f.log.String())
		}
	}
}

// tell lets the issuer say something, and waits until it took effect.
func (f *follower) tell(kind, id string) {
	f.t.Helper()
	n := f.applied.Load()
	f.issuer.Revoke(kind, id)
	f.until(kind+" took effect", func() bool { return f.applied.Load() > n })
}

// token returns a token that the issuer signed now, and its text.
func (f *follower) token(c issuertest.Claims) (*feed.Token, string) {
	text := f.issuer.Sign(c)
	s := func(name string) string { v, _ := c[name].(string); return v }
	return &feed.Token{
		Sum: sha256.Sum256([]byte(text)), JTI: s("jti"), SID: s("sid"), Txn: s("txn"), Sub: s("sub"), KID: f.issuer.Key().KeyID, Issued: c["iat"].(int64), Machine: s("sub") == s("client_id"),
	}, text
}

// check asks about a new token with some members changed: "ok", "revoked", "unknown".
func (f *follower) check(change ...any) string {
	f.t.Helper()
	c := f.issuer.Person("p1", "cases:read")
	for n := 0; n < len(change); n += 2 {
		c = c.With(change[n].(string), change[n+1])
	}
	t, text := f.token(c)
	return verdict(f.Check(f.t.Context(), t, text))
}

func verdict(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, feed.ErrRevoked):
		return "revoked"
	case errors.Is(err, feed.ErrUnknown):
		return "unknown"
	}
	return err.Error()
}

// want demands a verdict.
func (f *follower) want(want, got string) {
	f.t.Helper()
	if got != want {
		f.t.Errorf("got %s, want %s", got, want)
	}
}

// said reports whether the log has a line with the text, and that no secret is in it.
func (f *follower) said(text string) bool {
	log := f.log.String()
	if strings.Contains(log, "case/api") || strings.Contains(log, "eyJ") {
		f.t.Error("a secret or a token stands in the log")
	}
	return strings.Contains(log, text)
}

func jsonOf(t testing.TB, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
