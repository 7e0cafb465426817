package portal_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/signin/issuertest"
)

// What one person typed never goes to the next who signs in on that browser, from whichever page it was sent.
func TestClaim_WhatWasTypedIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, "")
	claims := func() (n int) {
		calls, _ := w.door.seen()
		for _, call := range calls {
			if call == "POST /v1/claims" {
				n++
			}
		}
		return n
	}
	for _, from := range []string{"/claim", "/claim/review"} {
		b := w.browser()
		w.issuer.SetPerson(issuertest.Person{Subject: ana, ACR: issuertest.AAL1, AuthTime: w.clock.Now(), CanAAL2: true})
		b.signIn()
		p := b.get("/claim")
		send := []string{"/claim", "receipt", c.receipt, "code", c.code}
		if from == "/claim/review" {
			if p = b.claim(c.receipt, c.code); p.at() != from {
				t.Fatalf("%d at %s", p.status, p.at())
			}
			send = []string{"/claim/send"}
		}
		before := claims()
		w.clock.Advance(16 * time.Minute)
		w.strong("sub-bob")
		p = b.submit(p, send[0], send[1:]...)
		if p.status != http.StatusOK || p.at() != "/claim" {
			t.Errorf("%s: %d at %s", from, p.status, p.at())
		}
		for _, page := range []string{"/claim", "/claim/review", "/cases"} {
			if q := b.get(page); strings.Contains(p.body+q.body, c.code) || strings.Contains(p.body+q.body, c.receipt) {
				t.Errorf("from %s: the next person sees it at %s", from, page)
			}
		}
		if now := claims(); now != before {
			t.Errorf("from %s: it was sent", from)
		}
	}
}

// A session that ended says for an hour whose it was, although others signed in meanwhile; then nothing is taken along.
func TestClaim_IsKeptForItsOwnerThoughOthersSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, "")
	for _, k := range []struct {
		after time.Duration
		kept  bool
	}{{74 * time.Minute, true}, {76 * time.Minute, false}} {
		b := w.browser()
		b.signIn()
		form := b.get("/claim")
		w.clock.Advance(k.after)
		w.browser().signIn()
		p := b.submit(form, "/claim", "receipt", c.receipt, "code", c.code)
		if strings.Contains(p.body, c.code) != k.kept || (p.at() == "/claim/review") != k.kept {
			t.Errorf("after %v: %d at %s", k.after, p.status, p.at())
		}
	}
}
