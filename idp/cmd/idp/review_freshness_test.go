package main

import (
	"slices"
	"testing"
	"time"
)

// proven is when the session of a browser says that its person signed in, and proved a second factor.
func (w *peopleWorld) proven(b *browser) (auth, factor time.Time) {
	w.Helper()
	id := w.sessionOf(b)
	micros := func(column string) time.Time {
		return time.UnixMicro(int64(w.number(`SELECT `+column+` FROM sessions WHERE id = ?`, id))).UTC()
	}
	return micros("auth_time"), micros("factor_time")
}

// Who holds a session but no secret never makes it fresh: nothing that can be done in it counts as signing in.
func TestAttack_D18_NoChangeOfTheAccountCountsAsSigningIn(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ben)
	began := w.clock.Now()
	enrolled := func() *page { return b.get("/account/factors/enrol").enrol() }
	for _, c := range []struct {
		what string
		act  func() *page
	}{
		{"enrolling", enrolled},
		{"renewing codes", func() *page {
			p := b.get("/account/recovery-codes")
			return p.formTo("/account/recovery-codes").send(p)
		}},
		{"removing", func() *page {
			return b.get(hrefTo(w, b.get("/account/factors"), "/account/factors/remove")).press("id", "")
		}},
		{"looking", func() *page { return b.get("/account/factors") }},
		{"a new password", func() *page {
			w.changePassword(b, pass, "a fresh password of some length")
			return b.get("/account")
		}},
	} {
		w.clock.Advance(50 * time.Second)
		if p := c.act(); p.status >= 400 || p.url.Path == "/signin" {
			t.Fatalf("%s: %d at %s: %s", c.what, p.status, p.url.Path, p.text())
		}
		if auth, factor := w.proven(b); !auth.Equal(began) || !factor.Equal(began) {
			t.Errorf("%s moved auth_time by %v and the factor's by %v", c.what, auth.Sub(began), factor.Sub(began))
		}
	}
	w.clock.Advance(began.Add(9 * time.Minute).Sub(w.clock.Now()))
	enrolled()
	if p := b.twin().authorize(request("web", "max_age", "300", "acr_values", "urn:ellis:aal2")); p.url.Path != "/signin" {
		t.Errorf("max_age after an enrolment: at %s%s", p.url.Path, p.out)
	}
	w.clock.Advance(61 * time.Second)
	if p := b.get("/account/factors/enrol"); p.url.Path != "/signin" {
		t.Errorf("the next enrolment asks for no sign-in: at %s", p.url.Path)
	}
}

// The first factor raises the class of a session; when its person signed in stays true.
func TestTOTP_TheFirstRaisesTheClassAndNotTheTimeOfTheSignIn(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.browser()
	p := b.authorize(request("web", "acr_values", "urn:ellis:aal2", "max_age", "300")).submit("identifier", ana, "password", pass)
	began := w.clock.Now()
	w.clock.Advance(2 * time.Minute)
	if p = p.enrol(); p.url.Path != "/signin/codes" {
		t.Fatalf("at %s: %s", p.url.Path, p.text())
	}
	if auth, factor := w.proven(b); !auth.Equal(began) || !factor.Equal(w.clock.Now()) {
		t.Errorf("auth_time moved by %v, the factor was proven %v after it", auth.Sub(began), factor.Sub(began))
	}
	p = p.press("saved", "")
	if p.out == "" {
		p = p.submit("decision", "allow")
	}
	_, id := claims(w.redeem("web", p.answer(appURI).Get("code")).str("id_token"))
	amr, _ := id["amr"].([]any)
	if id["acr"] != "urn:ellis:aal2" || !slices.Contains(amr, any("otp")) || id["auth_time"] != float64(began.Unix()) {
		t.Errorf("the ID token says acr %v, amr %v, auth_time %v, want %d", id["acr"], amr, id["auth_time"], began.Unix())
	}
}
