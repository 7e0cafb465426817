package portal_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"ellis.example/caseservice/internal/portal"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/store/redisstore"
	"ellis.example/caseservice/internal/store/redisstore/redisdb"
	"ellis.example/caseservice/internal/store/redisstore/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

// newPair is a world with two portals over one Redis.
func newPair(t *testing.T) (*world, *redistest.Server) {
	t.Helper()
	srv := redistest.Own(t)
	return newWorldOver(t, func(*portal.Config) {}, func(w *world) []signin.Store {
		var out []signin.Store
		for range 2 {
			db, err := redisdb.Open(t.Context(), redisdb.Config{URL: srv.URL()}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			s, err := redisstore.New(db, w.clock, bytes.Repeat([]byte{5}, 32))
			if err != nil {
				t.Fatal(err)
			}
			s.RateClock = w.clock
			out = append(out, s)
		}
		return out
	}), srv
}

func TestReplicas_ASessionIsOneWhicheverAnswers(t *testing.T) {
	t.Parallel()
	w, _ := newPair(t)
	b := w.browser()
	b.signIn()
	for range 4 {
		if p := b.get("/cases"); p.status != http.StatusOK || p.url.Path != "/cases" {
			t.Fatalf("%d at %s", p.status, p.url)
		}
	}
	cookie := b.cookie("portal_session")
	if p := b.submit(b.get("/cases"), "/signout"); p.status != http.StatusOK {
		t.Fatalf("%d at %s", p.status, p.url)
	}
	b.setCookie("portal_session", cookie)
	for range 2 {
		if p := b.step("/cases"); p.status == http.StatusOK {
			t.Error("signed out, and still in at one of them")
		}
	}
}

// The issuer of this test takes a refresh token that comes twice for stolen, and at once.
func TestReplicas_32RequestsAtTheEndOfATokenRenewItOnce(t *testing.T) {
	t.Parallel()
	w, _ := newPair(t)
	b := w.browser()
	b.signIn()
	for round := range 3 {
		w.clock.Advance(5 * time.Minute)
		_, before := w.issuer.Counts()
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if p := b.step("/cases"); p.status != http.StatusOK {
					t.Errorf("round %d: %d to %s", round, p.status, p.header.Get("Location"))
				}
			})
		}
		wg.Wait()
		if _, after := w.issuer.Counts(); after-before != 1 {
			t.Errorf("round %d: %d renewals", round, after-before)
		}
	}
	if n := w.issuer.Live(); n != 1 {
		t.Errorf("%d refresh tokens are live", n)
	}
}

func TestReplicas_AnAnswerOfTheIssuerCountsOnce(t *testing.T) {
	t.Parallel()
	w, _ := newPair(t)
	b := w.browser()
	to := b.answer().String()
	requests := []*http.Request{}
	for range 16 {
		r := b.request(http.MethodGet, to, nil)
		for _, c := range b.jar.Cookies(r.URL) {
			r.AddCookie(c)
		}
		requests = append(requests, r)
	}
	var wg sync.WaitGroup
	plain := &http.Client{CheckRedirect: b.client.CheckRedirect}
	for _, r := range requests {
		wg.Go(func() {
			res, err := plain.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			_ = res.Body.Close()
		})
	}
	wg.Wait()
	if n, _ := w.issuer.Counts(); n != 1 || w.issuer.Live() != 1 {
		t.Errorf("%d codes redeemed, %d refresh tokens live", n, w.issuer.Live())
	}
}

func TestReplicas_WhatRedisLosesCostsOneSignInAndItsAbsenceIsSaid(t *testing.T) {
	t.Parallel()
	w, srv := newPair(t)
	b := w.browser()
	b.signIn()
	if err := srv.FlushAll(); err != nil {
		t.Fatal(err)
	}
	if p := b.step("/cases"); p.status == http.StatusOK {
		t.Error("a session that is gone goes on")
	}
	b.signIn()
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	if p := b.step("/cases"); p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") == "" {
		t.Errorf("without Redis: %d, Retry-After %q", p.status, p.header.Get("Retry-After"))
	}
	if err := srv.Restart(); err != nil {
		t.Fatal(err)
	}
	b.signIn()
}
