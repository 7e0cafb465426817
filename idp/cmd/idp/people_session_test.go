package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/ident"
)

// carries reports whether a session cookie opens an account in a browser that has nothing else.
func (w *peopleWorld) carries(cookie string) bool {
	w.Helper()
	b := w.browser()
	b.setCookie("idp_session", cookie)
	return b.isIn()
}

// changePassword changes it in the form, and checks that it went well.
func (w *peopleWorld) changePassword(b *browser, old, fresh string, pairs ...string) {
	w.Helper()
	p := b.get("/account/password").submit(append([]string{"current_password", old, "new_password", fresh}, pairs...)...)
	w.shows("password change", p, http.StatusOK, "Your password is changed.")
}

// At every change of what a session proves its cookie is another, and the one before opens nothing.
func TestAttack_D02_EachChangeOfAssuranceHasItsOwnCookie(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.browser()
	planted := ident.NewToken(ident.SessionCookie)
	b.setCookie("idp_session", planted)
	seen := []string{planted}
	renewed := func(what string) {
		t.Helper()
		now := b.cookie("idp_session")
		if now == "" || slices.Contains(seen, now) || !b.isIn() {
			t.Fatalf("%s: the cookie %q is not a new one that opens", what, now)
		}
		for _, old := range seen {
			if w.carries(old) {
				t.Errorf("%s: the cookie from before still opens", what)
			}
		}
		seen = append(seen, now)
	}
	p := b.get("/account").submit("identifier", ben, "password", pass)
	if b.cookie("idp_session") != planted || b.isIn() || w.carries(b.cookie("idp_signin")) {
		t.Error("a password alone opened a session")
	}
	half := b.cookie("idp_signin")
	p.submit("code", w.code())
	renewed("both factors")
	if w.carries(half) || b.cookie("idp_signin") != "" {
		t.Error("the cookie of the half-finished sign-in goes on")
	}
	w.clock.Advance(11 * time.Minute)
	if p = b.get("/account/factors/enrol").signIn(ben); p.url.Path != "/account/factors/enrol" {
		t.Fatal(p.url.Path, p.text())
	}
	renewed("a step-up")
	w.nextStep()
	p.enrol()
	renewed("an enrolment")
	w.changePassword(b, pass, "another lamp on that jetty")
	renewed("a password change")
	if n := w.number(`SELECT count(*) FROM sessions WHERE account = ? AND ended_at = 0`, w.people[ben]); n != 1 {
		t.Errorf("%d sessions: it is one and keeps its id", n)
	}
}

func TestSession_EndsAfterFifteenMinutesWithoutUse(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	for range 3 {
		w.clock.Advance(15*time.Minute - time.Second)
		if !b.isIn() {
			t.Fatal("it ended while it was used")
		}
	}
	w.clock.Advance(15 * time.Minute)
	if b.isIn() {
		t.Error("it lives on")
	}
	w.clock.Advance(-15 * time.Minute) // a look after the end brought nothing back
	b = w.signedIn(ana)
	w.clock.Advance(15 * time.Minute)
	if p := b.get("/account/profile"); p.url.Path != "/signin" {
		t.Errorf("at %s", p.url.Path)
	}
	if p := b.get("/account/profile").signIn(ana); p.url.Path != "/account/profile" {
		t.Errorf("after the sign-in at %s", p.url.Path)
	}
}

func TestSession_EndsAfterTwelveHoursOfUse(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	end := w.clock.Now().Add(12 * time.Hour)
	for w.clock.Now().Add(14 * time.Minute).Before(end) {
		w.clock.Advance(14 * time.Minute)
		if !b.isIn() {
			t.Fatalf("it ended %v early", end.Sub(w.clock.Now()))
		}
	}
	w.clock.Advance(end.Sub(w.clock.Now()) - time.Second)
	if !b.isIn() {
		t.Error("it ended a second early")
	}
	w.clock.Advance(time.Second)
	if b.isIn() {
		t.Error("it lives on")
	}
	// signing in again within a session does not make its end later
	b = w.signedIn(ana)
	end = w.clock.Now().Add(12 * time.Hour)
	for w.clock.Now().Before(end) {
		if p := b.get("/account/password"); p.url.Path == "/signin" {
			p.signIn(ana)
		}
		w.clock.Advance(12 * time.Minute)
	}
	if b.isIn() {
		t.Error("it lives on because its owner signed in again")
	}
}

// A person sees their own sessions, and ends them one by one, all others, or all.
func TestAttack_D13_OneSeesAndEndsOnesOwnSessions(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	stranger := w.signedIn(ben)
	others := []*browser{w.signedIn(ana), w.signedIn(ana), w.signedIn(ana)}
	p := b.get("/account/sessions")
	ids := map[string]bool{}
	for _, f := range p.forms {
		if id := f.values.Get("id"); id != "" {
			ids[id] = true
		}
	}
	if len(ids) != 3 || strings.Count(p.body, "ellis-row\"") != 4 {
		t.Fatalf("%d sessions to end: %s", len(ids), p.text())
	}
	var foreign string
	w.must(w.database().QueryRowContext(w.Context(), `SELECT id FROM sessions WHERE account = ?`, w.people[ben]).Scan(&foreign))
	if strings.Contains(p.body, foreign) {
		t.Error("somebody else's session is listed")
	}
	to, v := p.filled("id")
	for _, id := range []string{foreign, "", "ses_", "ses_00000000000000000000000000", "' OR 1=1 --"} {
		v.Set("id", id)
		if q := b.once(http.MethodPost, to, v); q.header.Get("Location") != "/account/sessions" {
			t.Errorf("ending %q leads to %s", id, q.header.Get("Location"))
		}
	}
	if !stranger.isIn() {
		t.Fatal("somebody else's session was ended")
	}
	tokens := w.tokensIn(others[0], "web")
	v.Set("id", w.sessionOf(others[0]))
	w.shows("one", b.post(to, v), http.StatusOK, "That session is signed out.")
	if others[0].isIn() || !others[1].isIn() || !others[2].isIn() || !b.isIn() {
		t.Error("not that one was ended, or not alone")
	}
	w.wants("its refresh token", w.refresh("web", tokens.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
	w.shows("again", b.post(to, v), http.StatusOK)
	b.get("/account/sessions").press("all", "others")
	if others[1].isIn() || others[2].isIn() || !b.isIn() || !stranger.isIn() {
		t.Error("not all others were ended, or more")
	}
	late := w.signedIn(ana)
	if p = b.get("/account/sessions").press("all", "everywhere"); p.url.Path != "/signed-out" {
		t.Errorf("at %s", p.url.Path)
	}
	if b.isIn() || late.isIn() || !stranger.isIn() || b.cookie("idp_session") != "" {
		t.Error("not everything was ended")
	}
}

// sessionOf returns the id of a browser's session.
func (w *peopleWorld) sessionOf(b *browser) (id string) {
	w.Helper()
	h := ident.Hash(b.cookie("idp_session"))
	w.must(w.database().QueryRowContext(w.Context(), `SELECT id FROM sessions WHERE cookie = ?`, h[:]).Scan(&id))
	return id
}

// tokensIn gets tokens in a browser that is signed in.
func (w *peopleWorld) tokensIn(b *browser, client string) answer {
	w.Helper()
	a := w.redeem(client, b.newCode("", client))
	if a.status != http.StatusOK {
		w.Fatalf("no tokens: %d %s", a.status, a.body)
	}
	return a
}

// However a session ends, its cookie opens nothing from that moment on, nor does what was issued in it.
func TestAttack_D10_AnEndedSessionIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	for how, end := range map[string]func(w *peopleWorld, own, elsewhere *browser){
		"signed out":       func(_ *peopleWorld, own, _ *browser) { own.leave() },
		"ended elsewhere":  func(_ *peopleWorld, _, other *browser) { other.get("/account/sessions").press("all", "others") },
		"password changed": func(w *peopleWorld, _, other *browser) { w.changePassword(other, pass, "another lamp on that jetty") },
		"disabled": func(w *peopleWorld, _, _ *browser) {
			w.must(w.peopleAdmin().Disable(w.Context(), ana, "test", "operator:test"))
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newPeople(t)
			own, other := w.signedIn(ana), w.signedIn(ana)
			cookie, tokens := own.cookie("idp_session"), w.tokensIn(own, "web")
			form, v := own.get("/account/profile").filled("given_name", "Mallory")
			end(w, own, other)
			if w.carries(cookie) {
				t.Error("its cookie opens")
			}
			late := w.browser()
			late.setCookie("idp_session", cookie)
			late.once(http.MethodPost, form, v)
			if n := w.number(`SELECT count(*) FROM accounts WHERE given_name = 'Mallory'`); n != 0 {
				t.Error("something was changed in it")
			}
			w.wants("its refresh token", w.refresh("web", tokens.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
			if w.active("web", tokens.str("access_token")) {
				t.Error("its access token is active")
			}
		})
	}
}

// Signing out clears the cookie in the browser and kills it at the server.
func TestAttack_D11_TheCookieOfAnEndedSessionIsClearedAndDead(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	cookie := b.cookie("idp_session")
	spare := b.twin()
	p := b.get("/signout")
	w.shows("asks", p, http.StatusOK, "Do you want to sign out?", "Ana")
	if !b.isIn() {
		t.Fatal("a look signed out")
	}
	if q := b.twin().once(http.MethodPost, "/signout", url.Values{"csrf_token": {p.formTo("/language").values.Get("csrf_token")}}); q.header.Get("Location") != "/signout" || !b.isIn() {
		t.Error("signed out without its token")
	}
	p = p.formTo("/signout").send(p)
	if p.url.Path != "/signed-out" || b.cookie("idp_session") != "" || b.isIn() || w.carries(cookie) || spare.isIn() {
		t.Errorf("at %s, it goes on", p.url.Path)
	}
	w.shows("again", spare.get("/signout"), http.StatusOK, "You are signed out")
	if q := spare.get("/account").signIn(ana); q.url.Path != "/account" || spare.cookie("idp_session") == cookie {
		t.Error("a new sign-in goes on with the old cookie")
	}
}

// Who signs in where somebody else did not quite sign out gets nothing of theirs.
func TestAttack_D04_NobodyInheritsASession(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	for _, how := range []string{"the answer got lost", "the request got lost"} {
		b := w.signedIn(ana)
		theirs, id := b.cookie("idp_session"), w.sessionOf(b)
		_, before := claims(w.tokensIn(b, "web").str("id_token"))
		if how == "the answer got lost" {
			b.twin().leave()
		}
		w.clock.Advance(11 * time.Minute)
		p := b.authorize(request("web", "prompt", "login")).submit("identifier", ben, "password", pass).submit("code", w.code())
		if p.out == "" {
			p = p.submit("decision", "allow")
		}
		_, after := claims(w.redeem("web", p.answer(appURI).Get("code")).str("id_token"))
		if after["sub"] == before["sub"] || after["sid"] == before["sid"] {
			t.Errorf("%s: Ben's token is %v, Ana's was %v", how, after, before)
		}
		if b.cookie("idp_session") == theirs || w.sessionOf(b) == id {
			t.Errorf("%s: Ben goes on in Ana's session", how)
		}
		if q := b.get("/account/profile"); strings.Contains(q.body, ana) || !strings.Contains(q.body, ben) {
			t.Errorf("%s: Ben sees %s", how, q.text())
		}
	}
}

// An anti-forgery value belongs to one browser, one session and one purpose, and is as long as a key.
func TestAttack_D17_AFormTokenBelongsToOneBrowserSessionAndPurpose(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b, other := w.signedIn(ana), w.signedIn(ana)
	token := func(p *page, field string) string {
		f := p.form(field, "")
		if f == nil || len(f.values.Get("csrf_token")) != 43 {
			t.Fatalf("%s: no token of 256 bits", p.url.Path)
		}
		return f.values.Get("csrf_token")
	}
	profile := b.get("/account/profile")
	fresh := w.browser()
	seen := map[string]string{
		"this form":     token(profile, "given_name"),
		"other purpose": token(b.get("/account/password"), "new_password"),
		"language form": token(profile, "lang"),
		"other session": token(other.get("/account/profile"), "given_name"),
		"nobody":        token(fresh.get("/signup"), "email"),
	}
	to, v := profile.filled("given_name", "Mallory")
	for what, value := range seen {
		for other, again := range seen {
			if what != other && value == again {
				t.Errorf("%s and %s have one token", what, other)
			}
		}
		if what == "this form" {
			continue
		}
		v.Set("csrf_token", value)
		w.shows(what, b.once(http.MethodPost, to, v), http.StatusForbidden, "open for too long")
	}
	if n := w.number(`SELECT count(*) FROM accounts WHERE given_name = 'Mallory'`); n != 0 {
		t.Fatal("a foreign token was taken")
	}
	v.Set("csrf_token", seen["this form"])
	if p := b.once(http.MethodPost, to, v); p.status != http.StatusSeeOther {
		t.Errorf("its own: %d", p.status)
	}
	w.changePassword(b, pass, "another lamp on that jetty") // a new cookie: another session as far as forms go
	v.Set("given_name", "Mallory")
	w.shows("from before", b.once(http.MethodPost, to, v), http.StatusForbidden, "open for too long")
}

// A sign-in form works in the browser that it was shown in, and in no other; nor does a page of another site send it.
func TestAttack_D06_ASignInIsOfTheBrowserThatAskedForIt(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	attacker, victim := w.browser(), w.browser()
	to, v := attacker.get("/account").filled("identifier", ana, "password", pass)
	victim.get("/signin") // has cookies of its own
	for what, c := range map[string]struct {
		b      *browser
		header []string
	}{
		"the victim's browser":       {victim, nil},
		"an empty browser":           {w.browser(), nil},
		"from another site":          {attacker.twin(), []string{"Sec-Fetch-Site", "cross-site"}},
		"from a sibling":             {attacker.twin(), []string{"Sec-Fetch-Site", "same-site"}},
		"an older browser's Origin":  {attacker.twin(), []string{"Origin", "https://evil.example"}},
		"an opaque origin":           {attacker.twin(), []string{"Origin", "null"}},
		"the origin of another port": {attacker.twin(), []string{"Origin", "http://127.0.0.1:1"}},
	} {
		if p := c.b.once(http.MethodPost, to, v, c.header...); p.status != http.StatusForbidden || c.b.isIn() {
			t.Errorf("%s: %d", what, p.status)
		}
	}
	for _, header := range [][]string{{"Sec-Fetch-Site", "same-origin"}, {"Origin", w.issuer}} {
		b := w.browser()
		where, form := b.get("/account").filled("identifier", ana, "password", pass)
		if b.once(http.MethodPost, where, form, header...); !b.isIn() {
			t.Errorf("%v: the right form was refused", header)
		}
	}
	if p := attacker.once(http.MethodPost, to, url.Values{"identifier": {ana}, "password": {pass}}); p.status != http.StatusForbidden {
		t.Errorf("without its token: %d", p.status)
	}
}
