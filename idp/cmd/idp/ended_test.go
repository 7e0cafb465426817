package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// death is a way in which an operator or a person ends what an app may do.
type death struct {
	do     func(w *world, b *browser)
	silent string // what prompt=none says afterwards; empty: the app is unknown, and nothing is sent to it
	others bool   // the person's other apps lose what they had, too
	all    bool   // the app loses what it had of everybody
}

var deaths = map[string]death{
	"the consent is withdrawn": {do: func(_ *world, b *browser) { b.withdraw("web") }, silent: "consent_required"},
	"the client is disabled":   {do: func(w *world, _ *browser) { w.disable("web", true) }, all: true},
	"the client is deleted": {do: func(w *world, _ *browser) {
		w.must(w.admin().DeleteClient(w.Context(), "web", "operator:test"))
		w.later()
	}, all: true},
	"the person is disabled": {do: func(w *world, _ *browser) { w.off(ana) }, silent: "login_required", others: true},
	"the person signs out":   {do: func(_ *world, b *browser) { b.logOut() }, silent: "login_required", others: true},
	"the person ends the session from elsewhere": {do: func(w *world, _ *browser) {
		b := w.browser()
		b.get("/account").signIn(ana)
		b.get("/account/sessions").press("all", "others")
	}, silent: "login_required", others: true},
	"the password is changed elsewhere": {do: func(w *world, _ *browser) {
		b := w.browser()
		b.get("/account").signIn(ana)
		b.get("/account/password").submit("current_password", pass, "new_password", "another lamp on that jetty")
	}, silent: "login_required", others: true},
}

// off disables a person as an operator does.
func (w *world) off(email string) {
	w.Helper()
	w.must(w.peopleAdmin().Disable(w.Context(), email, "test", "operator:test"))
}

// everyReplica does something once at each: all its requests go there.
func (w *world) everyReplica(f func()) {
	defer w.only.Store(0)
	for i := range w.all {
		w.only.Store(int64(i) + 1)
		f()
	}
}

// held is what apps hold of people when a way of ending it comes.
type held struct {
	*world
	b                    *browser
	api, info, letters   answer
	other, bens          answer
	code                 string
	consent              *page // on the screen, not answered yet
	cases, lettersFollow *follower
}

func newHeld(t *testing.T, on kind) *held {
	t.Helper()
	w := on.world(t)
	h := &held{world: w, b: w.browser(), bens: w.tokens(ben, "web")}
	h.api = w.redeem("web", h.b.newCode(ana, "web"))
	h.info = w.redeem("web", h.b.newCode(ana, "web", "scope", "openid profile"))
	h.letters = w.redeem("web", h.b.newCode(ana, "web", "scope", "openid offline_access letters.read"))
	h.other = w.redeem("post", h.b.newCode(ana, "post"))
	h.code = h.b.newCode(ana, "web")
	h.consent = h.b.authorize(request("web", "prompt", "consent"))
	h.cases, h.lettersFollow = w.follow("cases", casesAPI), w.follow("letters", letterAPI)
	if !h.stands() {
		t.Fatal("what should end does not stand before")
	}
	return h
}

// stands reports whether everything that does not use itself up by being asked works.
func (h *held) stands() bool {
	return h.active("cases", h.api.str("access_token")) && h.active("letters", h.letters.str("access_token")) && h.userinfo(h.info.str("access_token")).status == http.StatusOK &&
		h.active("post", h.other.str("refresh_token")) && h.active("cases", h.bens.str("access_token")) && h.consent.url.Path == "/consent"
}

// gone fails the test if something of the person at the app still works at a replica.
func (h *held) gone() {
	h.Helper()
	if h.active("cases", h.api.str("access_token")) || h.active("letters", h.letters.str("access_token")) || h.active("cases", h.api.str("refresh_token")) {
		h.Error("an API is told that a token stands")
	}
	h.wants("UserInfo", h.userinfo(h.info.str("access_token")), http.StatusUnauthorized, "invalid_token")
	for what, got := range map[string]answer{
		"refresh": h.refresh("web", h.api.str("refresh_token")), "refresh of another API": h.refresh("web", h.letters.str("refresh_token")), "code": h.redeem("web", h.code),
		"own introspection": h.as("web", "/introspect", map[string][]string{"token": {h.info.str("access_token")}}),
	} {
		dead := got.str("error") == "invalid_grant" || got.str("error") == "invalid_client"
		if what == "own introspection" {
			dead = got.str("error") == "invalid_client" || got.object["active"] == false
		}
		if !dead {
			h.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
}

// heard fails the test unless both APIs hear of the end of what they were sent.
func (h *held) heard() {
	h.Helper()
	for f, a := range map[*follower]answer{h.cases: h.api, h.lettersFollow: h.letters} {
		if all := f.next(); !slices.Contains(all, "grant "+claim(a, "txn")) {
			h.Errorf("%s heard %q, and not of grant %s", f.api, all, claim(a, "txn"))
		}
	}
}

// killed fails the test if a way to end things leaves something at any replica, or ends what it is not about.
func killed(t *testing.T, on kind, d death) {
	h := newHeld(t, on)
	d.do(h.world, h.b)
	h.everyReplica(h.gone)
	h.heard()
	if p := h.consent.submit("decision", "allow"); strings.Contains(p.out, "code=") && d.silent != "consent_required" {
		t.Error("a consent that was on the screen gave a code: ", p.out)
	}
	h.everyReplica(func() {
		p := h.b.authorize(request("web", "prompt", "none", "scope", "openid letters.read"))
		if d.silent == "" {
			if p.out != "" || p.status < http.StatusBadRequest {
				t.Errorf("single sign-on at an app that is none: %d to %q", p.status, p.out)
			}
			return
		}
		h.isRefusal("single sign-on", p.answer(appURI), "st-web", d.silent)
	})
	h.everyReplica(func() {
		if got := h.active("post", h.other.str("access_token")); got == d.others {
			t.Errorf("the token of another app stands: %v", got)
		}
		if got := h.active("cases", h.bens.str("access_token")); got == d.all {
			t.Errorf("the token of another person stands: %v", got)
		}
	})
}

func TestAttack_B30_ADisabledAccountsCodesAndTokensAreDead(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		killed(t, on, deaths["the person is disabled"])

		h := newHeld(t, on)
		half := h.browser().authorize(request("web"))
		h.off(ana)
		if p := h.consent.submit("decision", "allow"); p.out != "" || p.url.Path != "/signin" {
			t.Error("a consent that was on the screen leads to", p.url.Path, p.out)
		}
		if p := half.submit("identifier", ana, "password", pass); p.status != http.StatusUnprocessableEntity {
			t.Errorf("the right password: %d at %s", p.status, p.url.Path)
		}
		h.must(h.peopleAdmin().Enable(t.Context(), ana, "test", "operator:test"))
		h.everyReplica(h.gone) // enabling brings nothing back
		if p := h.b.get("/account"); p.url.Path != "/signin" {
			t.Error("enabled again, an old session opens", p.url.Path)
		}
	})
}

func TestAttack_B30_EveryReadLooksAtTheAccountAndTheGrantThemselves(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		for name, end := range map[string]string{"the account": `UPDATE accounts SET status = 'disabled' WHERE email = ?`, "the grant": `UPDATE grants SET revoked_at = 1 WHERE account = (SELECT id FROM accounts WHERE email = ?)`} {
			h := newHeld(t, on)
			h.exec(end, ana) // without what a command ends with it
			h.everyReplica(h.gone)
			if p := h.b.authorize(request("web", "prompt", "none")); name == "the account" && p.answer(appURI).Get("error") != "login_required" {
				t.Errorf("%s: single sign-on answers %q", name, p.out)
			}
		}
	})
}

func TestAttack_B32_WhatWasWithdrawnOrDisabledIsDead(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		for why, d := range deaths {
			if why == "the person is disabled" { // B30
				continue
			}
			t.Run(why, func(t *testing.T) {
				t.Parallel()
				killed(t, on, d)
			})
		}
	})
}

// A service account has no person behind it: the client's registration is all that it stands on.
func TestAttack_B32_AMachineThatIsDisabledIsDead(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		api := w.follow("cases", casesAPI)
		token := w.machine("machine").str("access_token")
		dead := func(what string) {
			t.Helper()
			w.everyReplica(func() {
				if w.active("cases", token) {
					t.Errorf("%s, and its token stands", what)
				}
			})
		}
		w.disable("machine", true)
		dead("disabled")
		w.everyReplica(func() { w.wants("disabled", w.machine("machine"), http.StatusUnauthorized, "invalid_client") })
		if heard := api.next(); !slices.Contains(heard, "account machine") {
			t.Errorf("the API heard %q", heard)
		}
		w.disable("machine", false)
		w.everyReplica(func() {
			if a := w.machine("machine"); a.status != http.StatusOK || !w.active("cases", a.str("access_token")) {
				t.Errorf("enabled again: %d %s", a.status, a.body)
			}
		})
		token = w.machine("machine").str("access_token")
		w.must(w.admin().DeleteClient(t.Context(), "machine", "operator:test"))
		w.later()
		dead("deleted")
	})
}
