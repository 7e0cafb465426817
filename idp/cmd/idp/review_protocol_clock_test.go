package main

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
)

// sweep is one turn of the job.
func (w *world) sweep() {
	w.Helper()
	for _, j := range w.p.jobs() {
		if j.Name == "sweep" {
			w.must(j.Do(w.Context()))
		}
	}
}

// machineBy asks for a token with an assertion.
func (w *world) machineBy(assertion string) answer {
	w.Helper()
	return w.do(http.MethodPost, "/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"cases.read"}, "client_assertion_type": {assertionKind}, "client_assertion": {assertion}})
}

func TestClock_ALeapAheadAndBackRevivesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sweep()
	b := w.withConsent(ana)
	spent := w.assertion("ES256", object{"exp": w.clock.Now().Add(30 * time.Minute).Unix()})
	if a := w.machineBy(spent); a.status != http.StatusOK {
		t.Fatal(a.status, a.body)
	}
	code := b.newCode(ana, "web")
	first := w.redeem("web", code)
	machine := w.machine("machine", "scope", "cases.read")
	w.revoked("machine", machine.str("access_token"))
	const leap = 10 * 365 * 24 * time.Hour
	w.clock.Advance(leap)
	for range 3 {
		w.sweep()
	}
	w.clock.Advance(-leap)
	w.wants("a spent assertion", w.machineBy(spent), http.StatusUnauthorized, "invalid_client")
	if w.active("cases", machine.str("access_token")) {
		t.Error("a revoked token of a machine is active")
	}
	if !b.isIn() {
		t.Error("everybody was signed out")
	}
	if a := w.refresh("web", first.str("refresh_token")); a.status != http.StatusOK {
		t.Error("everybody's apps were signed out:", a.body)
	}
	w.wants("a spent code", w.redeem("web", code), http.StatusBadRequest, "invalid_grant")
}

func TestClock_AClockThatIsSetBackBehindTheSweepRevivesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spent := w.assertion("ES256", nil)
	if a := w.machineBy(spent); a.status != http.StatusOK {
		t.Fatal(a.status, a.body)
	}
	machine := w.machine("machine", "scope", "cases.read")
	w.revoked("machine", machine.str("access_token"))
	w.clock.Advance(3 * time.Hour)
	w.sweep()
	w.clock.Advance(-3 * time.Hour)
	var left int
	if w.count(&left, `SELECT count(*) FROM spent WHERE kind = 'assertion'`); left != 0 {
		t.Fatal("nothing was swept")
	}
	w.wants("a spent assertion", w.machineBy(spent), http.StatusUnauthorized, "invalid_client")
	if w.active("cases", machine.str("access_token")) {
		t.Error("a revoked token of a machine is active")
	}
	w.clock.Advance(3 * time.Hour)
	if a := w.machineBy(w.assertion("ES256", nil)); a.status != http.StatusOK {
		t.Error("a new assertion, with the clock right:", a.status, a.body)
	}
}

func TestRefresh_AClockSetBackALittleKillsNoFamily(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, back := range []time.Duration{50 * time.Millisecond, 3 * time.Second, 10 * time.Second} {
		first := w.tokens(ana, "web").str("refresh_token")
		w.clock.Advance(time.Minute)
		second := w.refresh("web", first).str("refresh_token")
		w.clock.Advance(-back)
		if again := w.refresh("web", first); again.status != http.StatusOK || again.str("refresh_token") != second {
			t.Errorf("%v: a retry: %d %s", back, again.status, again.body)
		}
		third := w.refresh("web", second)
		if third.status != http.StatusOK {
			t.Errorf("%v: the successor: %d %s", back, third.status, third.body)
		}
		w.wants(back.String()+": reuse is still reuse", w.refresh("web", first), http.StatusBadRequest, "invalid_grant")
		w.wants(back.String()+": and ends the family", w.refresh("web", third.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
	}
}

func TestClock_WhatWasMadeUnderAClockThatWasAheadDoesNotOutliveItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const ahead = 10 * 365 * 24 * time.Hour
	w.clock.Advance(ahead)
	b := w.browser()
	a := w.redeem("web", b.newCode(ana, "web"))
	code := b.newCode(ana, "web")
	machine := w.machine("machine", "scope", "cases.read")
	if !b.isIn() || a.status != http.StatusOK || !w.active("cases", a.str("access_token")) || !w.active("cases", machine.str("access_token")) {
		t.Fatal("nothing was made:", a.body)
	}
	w.clock.Advance(-ahead)
	if b.isIn() {
		t.Error("a session of the future is alive")
	}
	b.refusal("a session of the future", request("web", "prompt", "none"), "login_required")
	for name, token := range map[string]string{"a person's": a.str("access_token"), "a machine's": machine.str("access_token")} {
		if w.active("cases", token) {
			t.Errorf("%s token of the future is active", name)
		}
	}
	w.wants("userinfo", w.userinfo(a.str("access_token")), http.StatusUnauthorized, "invalid_token")
	w.wants("a refresh token of the future", w.refresh("web", a.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
	w.wants("a code of the future", w.redeem("web", code), http.StatusBadRequest, "invalid_grant")
	w.tokens(ana, "web") // and life goes on
	w.clock.Advance(-clock.Skew / 2)
	w.tokens(ana, "web")
}

func TestClock_ALinkOfTheFutureIsDead(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	const ahead = 24 * time.Hour
	b := w.browser()
	w.clock.Advance(ahead)
	b.get("/signup").submit("email", "mia@example.org")
	link := w.linkTo("mia@example.org")
	w.clock.Advance(-ahead)
	w.shows("the link", b.get(link), http.StatusGone)
	w.clock.Advance(ahead)
	w.shows("the link in its time", b.get(link), http.StatusOK, "mia@example.org")
}
