package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSignUp_BeginsWithTheAddressAlone(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.browser()
	p := b.get("/signup")
	for _, f := range p.form("email", "").fields {
		if f != "email" && f != "csrf_token" {
			t.Errorf("asks for %s before the address is proven", f)
		}
	}
	p = p.submit("email", "mia@example.org")
	w.shows("check", p, http.StatusOK, "mia@example.org")
	p = b.get(w.linkTo("mia@example.org"))
	w.shows("landing", p, http.StatusOK, "mia@example.org")
	w.shows("the link only looks", b.get(w.linkTo("mia@example.org")), http.StatusOK)
	p = p.press("token", "")
	if p.url.Path != "/signup/details" {
		t.Fatal(p.url.Path, p.text())
	}
	p = p.submit(peopleDetails("username", "mia.berg")...)
	if p.url.Path != "/signin/offer" || !b.isIn() {
		t.Fatal(p.url.Path, p.text())
	}
	other := w.browser()
	if p := other.get("/account").submit("identifier", "MIA.berg", "password", pass); p.url.Path != "/account" {
		t.Errorf("sign-in by user name: %s %s", p.url.Path, p.text())
	}
	if n := w.number(`SELECT count(*) FROM accounts WHERE email = 'mia@example.org' AND given_name = 'Mia' AND country = 'NO'`); n != 1 {
		t.Errorf("%d accounts", n)
	}
}

func TestSignUp_LinkWorksOnceByPost(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.browser()
	b.get("/signup").submit("email", "mia@example.org")
	link := w.linkTo("mia@example.org")
	to, v := b.get(link).filled("token")
	if n := w.number(`SELECT count(*) FROM mail_links WHERE spent_at > 0`); n != 0 {
		t.Fatal("a look spent the link")
	}
	won := make([]bool, 16)
	tabs := make([]*browser, len(won))
	for i := range tabs {
		tabs[i] = b.twin()
	}
	peopleRace(len(won), func(i int) {
		p := tabs[i].once(http.MethodPost, to, v)
		won[i] = strings.HasPrefix(p.header.Get("Location"), "/signup/details")
	})
	n := 0
	for _, one := range won {
		if one {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of %d proved the address with one link", n, len(won))
	}
	w.shows("later", b.get(link), http.StatusGone, "once")
}

// A link dies at its end, swept or not; so does a proven address, and a sign-up cookie.
func TestAttack_E26_SignUpArtefactsDieAtTheirEnd(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	early, late := w.browser(), w.browser()
	early.get("/signup").submit("email", "early@example.org")
	link := w.linkTo("early@example.org")
	w.clock.Advance(10*time.Minute - time.Second)
	p := early.get(link)
	w.shows("a second before the end", p, http.StatusOK)
	to, v := p.filled("token")
	w.clock.Advance(time.Second)
	w.shows("at the end, from an open page", early.twin().once(http.MethodPost, to, v), http.StatusGone)
	w.clock.Advance(time.Second)
	w.shows("a second later", early.get(link), http.StatusGone, "expired")

	p = w.prove(late, "late@example.org")
	to, v = p.filled(peopleDetails()...)
	w.clock.Advance(30*time.Minute + time.Second)
	w.shows("particulars", late.once(http.MethodPost, to, v), http.StatusGone)
	if n := w.number(`SELECT count(*) FROM accounts WHERE email LIKE '%late%'`); n != 0 {
		t.Error("an account out of an old sign-up")
	}
}

func TestSignUp_ResendReplacesTheOlderLink(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.browser()
	p := b.get("/signup").submit("email", "mia@example.org")
	first := w.linkTo("mia@example.org")
	w.clock.Advance(time.Minute)
	p = p.press("email", "mia@example.org")
	w.shows("resent", p, http.StatusOK, "We sent the email again")
	second := w.linkTo("mia@example.org")
	if first == second {
		t.Fatal("the same link again")
	}
	w.shows("the older", b.get(first), http.StatusGone)
	w.shows("the newer", b.get(second), http.StatusOK)
}

// The limit holds against many requests at once, and nobody can tell that it was reached.
func TestSignUp_MailsToOneAddressAreLimited(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.browser()
	to, v := b.get("/signup").filled("email", "mia@example.org")
	tabs := make([]*browser, 64)
	for i := range tabs {
		tabs[i] = b.twin()
	}
	peopleRace(len(tabs), func(i int) {
		if p := tabs[i].once(http.MethodPost, to, v); p.status != http.StatusSeeOther {
			t.Errorf("%d %s", p.status, p.text())
		}
	})
	if n := len(w.mails()); n != 5 {
		t.Errorf("%d mails to one address in an hour, want 5", n)
	}
	w.clock.Advance(time.Hour)
	b.get("/signup").submit("email", "mia@example.org")
	if n := len(w.mails()); n != 6 {
		t.Errorf("%d mails, want 6: an hour later there is one more", n)
	}
}

// The browser that presses the button goes on; the one that asked for the mail has no part in it.
func TestAttack_E15_LinkProvesTheAddressToTheBrowserThatOpensIt(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	attacker, owner := w.browser(), w.browser()
	attacker.get("/signup").submit("email", "mia@example.org")
	p := owner.get(w.linkTo("mia@example.org")).press("token", "")
	if p.url.Path != "/signup/details" {
		t.Fatal(p.url.Path, p.text())
	}
	if q := attacker.get("/signup/details"); q.url.Path != "/signup" {
		t.Errorf("the asking browser is at %s", q.url.Path)
	}
	to, v := p.filled(peopleDetails()...)
	q := attacker.twin().once(http.MethodPost, to, v)
	if q.status/100 == 2 || attacker.isIn() {
		t.Errorf("the asking browser opened the account: %d", q.status)
	}
	p.submit(peopleDetails()...)
	if !owner.isIn() {
		t.Error("the owner could not open the account")
	}
	// changing the address in the form of another browser changes nothing
	w.prove(attacker, "mallory@example.org").submit(peopleDetails("email", "ana@example.org", "given_name", "Mallory")...)
	if n := w.number(`SELECT count(*) FROM accounts WHERE email = 'ana@example.org' AND given_name = 'Mallory'`); n != 0 {
		t.Error("an address out of the form was believed")
	}
}

func TestAttack_E24_TokenOpensItsOwnAddressOnly(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	a, b := w.browser(), w.browser()
	a.get("/signup").submit("email", "one@example.org")
	b.get("/signup").submit("email", "two@example.org")
	first, second := w.linkTo("one@example.org"), w.linkTo("two@example.org")
	to, v := a.get(first).filled("token")
	v.Set("token", strings.TrimPrefix(second, "/signup/continue?token="))
	v.Set("email", "one@example.org")
	a.once(http.MethodPost, to, v)
	w.shows("details", a.get("/signup/details"), http.StatusOK, "two@example.org")
	for _, bad := range []string{"", "x", "eml_" + strings.Repeat("A", 49), strings.ToUpper(first[len("/signup/continue?token="):])} {
		if p := a.get("/signup/continue?token=" + bad); p.status != http.StatusGone {
			t.Errorf("token %q: %d", bad, p.status)
		}
	}
}

// A secret of another kind is no mail link, in whatever place it is tried.
func TestAttack_E25_ASecretOfAnotherKindIsNoLink(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	for _, name := range []string{"idp_session", "idp_device", "idp_flow", "idp_csrf"} {
		if p := b.get("/signup/continue?token=" + b.cookie(name)); p.status != http.StatusGone {
			t.Errorf("%s as a link: %d", name, p.status)
		}
	}
	b.get("/signup").submit("email", "mia@example.org")
	token := strings.TrimPrefix(w.linkTo("mia@example.org"), "/signup/continue?token=")
	for _, name := range []string{"idp_session", "idp_device", "idp_flow", "idp_signin", "idp_signup"} {
		c := w.browser()
		c.setCookie(name, token)
		if c.isIn() || c.get("/signup/details").url.Path != "/signup" {
			t.Errorf("a link opened something as %s", name)
		}
	}
}
