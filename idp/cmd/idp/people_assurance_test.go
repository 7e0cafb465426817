package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// What one uses to get in is used up by it.
func TestAttack_E27_AHalfFinishedSignInIsUsedUp(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	p := w.half(ben)
	to, v := p.filled("code", w.totpAt(benSeed, w.clock.Now()))
	spare := p.b.twin()
	if p.b.once(http.MethodPost, to, v); !p.b.isIn() {
		t.Fatal("it did not open at all")
	}
	w.nextStep()
	v.Set("code", w.totpAt(benSeed, w.clock.Now()))
	if q := spare.once(http.MethodPost, to, v); q.status/100 == 2 || spare.isIn() {
		t.Errorf("it opened twice: %d", q.status)
	}
}

func TestSignIn_AProvenPasswordWaitsTenMinutes(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	p := w.half(ben)
	w.clock.Advance(10*time.Minute + time.Second)
	if p = p.submit("code", w.totpAt(benSeed, w.clock.Now())); p.url.Path != "/signin" {
		t.Errorf("a password proven ten minutes ago still counts, at %s", p.url.Path)
	}
}

func TestAttack_E27_AShownSeedIsEnrolledOnce(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	p := b.get("/account/factors/enrol")
	seed := peopleSeed.FindStringSubmatch(p.body)[1]
	to, v := p.filled("code", w.totpAt(seed, w.clock.Now()))
	b.once(http.MethodPost, to, v)
	w.nextStep()
	again := b.get("/account/factors/enrol").form("enrolment", "").values
	again.Set("code", w.totpAt(seed, w.clock.Now()))
	again.Set("enrolment", v.Get("enrolment"))
	q := b.once(http.MethodPost, to, again)
	w.shows("the seed again", q, http.StatusUnprocessableEntity, "The previous QR code has expired")
	if n := w.number(`SELECT count(*) FROM totps WHERE account = ?`, w.people[ana]); n != 1 {
		t.Errorf("%d authenticator apps of one seed", n)
	}
	b.get(hrefTo(w, b.get("/account/factors"), "/account/factors/remove")).press("id", "")
	w.nextStep()
	again = b.get("/account/factors/enrol").form("enrolment", "").values
	again.Set("code", w.totpAt(seed, w.clock.Now()))
	again.Set("enrolment", v.Get("enrolment")+"\n")
	w.shows("after it was removed", b.once(http.MethodPost, to, again), http.StatusUnprocessableEntity, "The previous QR code has expired")
}

func TestAttack_E27_AShownSeedIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	mine := w.signedIn(ana).get("/account/factors/enrol")
	b := w.signedIn(ben)
	p := b.get("/account/factors/enrol")
	to, v := p.filled("code", w.totpAt(peopleSeed.FindStringSubmatch(mine.body)[1], w.clock.Now()))
	v.Set("enrolment", mine.form("enrolment", "").values.Get("enrolment"))
	w.shows("it", b.once(http.MethodPost, to, v), http.StatusUnprocessableEntity, "has expired")
}

// The class of a session is what was proven in it, for every set of factors, and tokens tell the truth about it.
func TestAttack_E05_TheClassFollowsFromWhatWasProven(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	codes := w.benCodes(w.signedIn(ben))
	tell := func(a answer) (string, []any, time.Time) {
		_, id := claims(a.str("id_token"))
		acr, _ := id["acr"].(string)
		amr, _ := id["amr"].([]any)
		at, _ := id["auth_time"].(float64)
		return acr, amr, time.Unix(int64(at), 0).UTC()
	}
	for _, c := range []struct {
		what, email, acr string
		code             func() string // of the second step; nil: there is none
		path             string
		amr              []any
	}{
		{"a password", ana, "urn:ellis:aal1", nil, "", []any{"pwd"}},
		{"a password and a code", ben, "urn:ellis:aal2", func() string { return w.code() }, "/signin/factor", []any{"mfa", "otp", "pwd"}},
		{"a password and a recovery code", ben, "urn:ellis:aal2", func() string { return codes[0] }, "/signin/recovery", []any{"mfa", "pwd"}},
	} {
		b := w.browser()
		p := b.authorize(request("web")).submit("identifier", c.email, "password", pass)
		if c.code != nil {
			p = b.get(c.path+"?flow="+p.url.Query().Get("flow")).submit("code", c.code())
		}
		at := w.clock.Now()
		if p.out == "" {
			p = p.submit("decision", "allow")
		}
		w.clock.Advance(3 * time.Second)
		acr, amr, when := tell(w.redeem("web", p.answer(appURI).Get("code")))
		if acr != c.acr || !slices.Equal(amr, c.amr) || !when.Equal(at) {
			t.Errorf("%s: %s %v at %v, want %s %v at %v", c.what, acr, amr, when, c.acr, c.amr, at)
		}
	}
	// a request for more than the account has leads to the enrolment, and says so afterwards
	p := w.browser().authorize(request("web", "acr_values", "urn:ellis:aal2")).submit("identifier", ana, "password", pass)
	if p.url.Path != "/signin/enrol" {
		t.Fatalf("at %s: %s", p.url.Path, p.text())
	}
	p = p.enrol()
	p = p.press("saved", "")
	if p.out == "" {
		p = p.submit("decision", "allow")
	}
	if acr, amr, _ := tell(w.redeem("web", p.answer(appURI).Get("code"))); acr != "urn:ellis:aal2" || len(amr) != 3 {
		t.Errorf("after an enrolment: %s %v", acr, amr)
	}
}

// Every change to how an account is protected asks for a sign-in of the last minutes, with all factors, by the same person.
func TestAttack_D18_SensitiveChangesAskForAFreshSignIn(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ben)
	sensitive := []string{"/account/password", "/account/factors/enrol", hrefTo(w, b.get("/account/factors"), "/account/factors/remove"), "/account/recovery-codes"}
	forms := map[string]url.Values{}
	for _, path := range sensitive {
		p := b.get(path)
		if p.url.Path != strings.Split(path, "?")[0] {
			t.Fatalf("%s, fresh: at %s", path, p.url.Path)
		}
		for _, f := range p.forms {
			if strings.HasPrefix(f.action, "/account") {
				forms[path] = f.values
			}
		}
	}
	w.clock.Advance(9*time.Minute + 59*time.Second)
	b.get("/account")
	w.clock.Advance(2 * time.Second)
	before := w.number(`SELECT count(*) FROM totps`) + w.number(`SELECT count(*) FROM recovery_codes`)
	for _, path := range sensitive {
		for _, p := range []*page{b.twin().get(path), b.twin().post(path, forms[path])} {
			if p.url.Path != "/signin" || !strings.Contains(p.text(), "Please sign in again") {
				t.Errorf("%s: at %s", path, p.url.Path)
			}
		}
	}
	if now := w.number(`SELECT count(*) FROM totps`) + w.number(`SELECT count(*) FROM recovery_codes`); now != before {
		t.Error("something was changed")
	}
	p := b.get("/account/password")
	p = p.submit("identifier", ben, "password", pass)
	if p.url.Path != "/signin/factor" || b.twin().get("/account/password").url.Path == "/account/password" {
		t.Errorf("the password alone leads to %s", p.url.Path)
	}
	if p = p.submit("code", w.code()); p.url.Path != "/account/password" {
		t.Errorf("with both factors at %s", p.url.Path)
	}
	w.clock.Advance(11 * time.Minute)
	q := b.get("/account/factors/enrol").submit("identifier", ana, "password", pass)
	if strings.HasPrefix(q.url.Path, "/account/factors/enrol") && q.status == http.StatusOK {
		t.Error("somebody else's sign-in opened it")
	}
}
