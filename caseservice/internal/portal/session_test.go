package portal_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/caseservice/internal/portal"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/signin/issuertest"
)

func TestSession_EndsAfter15MinutesWithoutAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, ana)
	b := w.browser()
	b.signIn()
	for range 4 {
		w.clock.Advance(14 * time.Minute)
		if p := b.get("/cases"); p.status != http.StatusOK {
			t.Fatalf("somebody who reads is signed out: %d", p.status)
		}
	}
	w.clock.Advance(15 * time.Minute)
	p := b.get("/cases/" + c.id)
	if p.status != http.StatusUnauthorized || !strings.Contains(p.body, `href="/signin?return_to=%2Fcases%2F`+c.id) || strings.Contains(p.body, c.receipt) {
		t.Errorf("%d %s", p.status, p.body)
	}
	if n := w.issuer.Live(); n != 0 {
		t.Errorf("%d refresh tokens outlive the session", n)
	}
}

func TestSession_EndsAfter12HoursWhateverIsDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.signIn()
	for range 12*6 - 1 {
		w.clock.Advance(10 * time.Minute)
		if p := b.step("/cases"); p.status != http.StatusOK {
			t.Fatalf("%v: %d", w.clock.Now().Sub(start), p.status)
		}
	}
	w.clock.Advance(10 * time.Minute)
	if p := b.get("/cases"); p.status != http.StatusUnauthorized {
		t.Errorf("%d", p.status)
	}
}

func TestSession_CookieIsRandomAndNewAtEverySignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	planted := "eps_" + strings.Repeat("A", 43)
	b.setCookie("portal_session", planted)
	b.signIn()
	first := b.cookie("portal_session")
	if first == planted || !strings.HasPrefix(first, "eps_") || len(first) < 47 {
		t.Fatalf("the session is %q", first)
	}
	if p := b.get("/signout"); p.status != http.StatusOK {
		t.Fatal(p.status)
	}
	w.clock.Advance(16 * time.Minute)
	b.signIn()
	if second := b.cookie("portal_session"); second == first {
		t.Error("two sessions have one identifier")
	}
	thief := w.browser()
	thief.setCookie("portal_session", first)
	if p := thief.get("/cases"); p.status != http.StatusUnauthorized {
		t.Errorf("the old identifier: %d", p.status)
	}
	for name, value := range map[string]string{
		"cut": first[:len(first)-1], "altered": first[:len(first)-1] + flip(first[len(first)-1]), "another kind": "epb_" + first[4:],
	} {
		thief.setCookie("portal_session", value)
		if p := thief.get("/cases"); p.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, p.status)
		}
	}
}

func TestSession_TwoCookiesOfOneNameAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.signIn()
	good := b.cookie("portal_session")
	r := w.browser().request(http.MethodGet, "/cases", nil)
	r.Header.Set("Cookie", "portal_session="+good+"; portal_session=eps_"+strings.Repeat("A", 43))
	if p := w.browser().send(r); p.status != http.StatusUnauthorized {
		t.Errorf("%d", p.status)
	}
}

func TestTokens_AreRenewedOnceForManyRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed(1, ana)
	b := w.browser()
	b.signIn()
	for round := 1; round <= 3; round++ {
		w.clock.Advance(4*time.Minute + 50*time.Second)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if p := b.step("/cases"); p.status != http.StatusOK {
					t.Errorf("%d", p.status)
				}
			})
		}
		wg.Wait()
		if _, n := w.issuer.Counts(); n != round || w.issuer.Live() != 1 {
			t.Errorf("round %d: renewed %d times, %d alive", round, n, w.issuer.Live())
		}
	}
}

func TestTokens_RefusedByTheApiAreRenewedOnceThenItIsOurMistake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.signIn()
	refuse := 1
	w.door.answers(func(rw http.ResponseWriter, _ *http.Request) bool {
		if refuse--; refuse < 0 {
			return false
		}
		rw.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		rw.WriteHeader(http.StatusUnauthorized)
		return true
	})
	if p := b.get("/cases"); p.status != http.StatusOK {
		t.Errorf("refused once: %d", p.status)
	}
	if _, n := w.issuer.Counts(); n != 1 {
		t.Errorf("renewed %d times", n)
	}
	refuse = 1000
	if p := b.get("/cases"); p.status != http.StatusInternalServerError || !strings.Contains(p.body, "req_") {
		t.Errorf("refused for good: %d %s", p.status, p.body)
	}
	if _, n := w.issuer.Counts(); n != 2 {
		t.Errorf("renewed %d times", n)
	}
	refuse = 0
	if p := b.get("/cases"); p.status != http.StatusOK {
		t.Errorf("afterwards: %d", p.status)
	}
}

func TestTokens_RevokedAtTheIssuerEndTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.signIn()
	w.issuer.RevokeAll()
	w.clock.Advance(5 * time.Minute)
	if p := b.get("/cases"); p.status != http.StatusUnauthorized || !strings.Contains(p.body, `href="/signin"`) {
		t.Fatalf("%d %s", p.status, p.body)
	}
	if n, _ := w.memory.Len(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	b.signIn()
}

func TestTokens_RevokedOnesEndTheSessionAtOnceAndThePageSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, lang := range []string{"en", "es"} {
		b := w.browser()
		b.signIn()
		if p := b.get("/cases"); p.status != http.StatusOK {
			t.Fatal(p.status)
		}
		w.issuer.RevokeAll()
		w.revoked.only(ana) // long before the token's end
		r := b.request(http.MethodGet, "/claim", nil)
		if p := b.send(r); p.status != http.StatusOK { // a page that needs no token
			t.Fatal(p.status)
		}
		r = b.request(http.MethodGet, "/cases", nil)
		r.Header.Set("Accept-Language", lang)
		p := b.send(r)
		says := map[string]string{"en": "take back the permission", "es": "retira el permiso"}[lang]
		if p.status != http.StatusUnauthorized || !strings.Contains(p.body, says) || !strings.Contains(p.body, `href="/signin"`) {
			t.Errorf("%d %s", p.status, p.body)
		}
		if p := b.get("/cases"); p.status != http.StatusUnauthorized || strings.Contains(p.body, says) {
			t.Errorf("the session goes on: %d", p.status)
		}
		if n, _ := w.memory.Len(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		w.revoked.only("")
	}
}

func TestTokens_IssuerDownAtARenewalIsAPageAndTheSessionStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.signIn()
	w.clock.Advance(5 * time.Minute)
	for name, h := range map[string]issuertest.Hooks{
		"down": {Down: func(string) bool { return true }},
		"busy": {Refuse: func(string) int { return http.StatusTooManyRequests }},
	} {
		w.issuer.Misbehave(h)
		p := b.get("/cases")
		if p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") == "" || !strings.Contains(p.body, `href="/cases"`) {
			t.Errorf("%s: %d %s", name, p.status, p.body)
		}
	}
	w.issuer.Misbehave(issuertest.Hooks{})
	if p := b.get("/cases"); p.status != http.StatusOK {
		t.Errorf("%d", p.status)
	}
}

func TestTokens_RenewedOnesSpeakOfTheSameSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, change := range map[string]func(map[string]any){
		"another person":  func(c map[string]any) { c["sub"] = "sub-bob" },
		"another sign-in": func(c map[string]any) { c["auth_time"] = w.clock.Now().Unix() },
	} {
		b := w.browser()
		b.signIn()
		w.clock.Advance(5 * time.Minute)
		w.issuer.Misbehave(issuertest.Hooks{IDToken: change})
		if p := b.get("/cases"); p.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, p.status)
		}
		w.issuer.Misbehave(issuertest.Hooks{})
	}
	b := w.browser()
	b.signIn()
	w.clock.Advance(5 * time.Minute)
	w.issuer.Misbehave(issuertest.Hooks{Token: func(m map[string]any) { delete(m, "id_token"); delete(m, "refresh_token") }})
	if p := b.get("/cases"); p.status != http.StatusOK {
		t.Errorf("neither ID token nor a new refresh token: %d", p.status)
	}
}

func TestTokens_WithoutARefreshTokenTheSessionEndsWithTheAccessToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issuer.Misbehave(issuertest.Hooks{Token: func(m map[string]any) { delete(m, "refresh_token") }})
	b := w.browser()
	b.signIn()
	w.clock.Advance(4 * time.Minute)
	if p := b.get("/cases"); p.status != http.StatusOK {
		t.Errorf("%d", p.status)
	}
	w.clock.Advance(time.Minute)
	if p := b.get("/cases"); p.status != http.StatusUnauthorized {
		t.Errorf("%d", p.status)
	}
}

func TestSignOut_EndsBothSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed(1, ana)
	b := w.browser()
	b.signIn()
	home := b.get("/cases")
	old := b.cookie("portal_session")
	p := b.send(b.request(http.MethodPost, "/signout", home.form(t, "/signout")))
	to, err := url.Parse(p.header.Get("Location"))
	if err != nil || p.status != http.StatusSeeOther || !strings.HasPrefix(to.String(), w.issuer.URL+"/logout?") {
		t.Fatalf("%d %v", p.status, p.header)
	}
	if q := to.Query(); q.Get("client_id") != issuertest.ClientID || q.Get("post_logout_redirect_uri") != w.url+"/signed-out" || len(q.Get("state")) < 43 || len(q) != 3 {
		t.Errorf("%v", q)
	}
	if b.cookie("portal_session") != "" || w.issuer.Live() != 0 {
		t.Errorf("cookie %q, %d refresh tokens", b.cookie("portal_session"), w.issuer.Live())
	}
	thief := w.browser() // D11: the cookie of before
	thief.setCookie("portal_session", old)
	if p := thief.get("/cases"); p.status != http.StatusUnauthorized || strings.Contains(p.body, "IOE") {
		t.Errorf("the old cookie: %d", p.status)
	}
	here := b.get("/signed-out") // who comes here without the issuer's answer
	back := b.follow(p)
	if back.status != http.StatusOK || back.url.Path != "/signed-out" || back.body == here.body || !strings.Contains(here.body, w.issuer.URL+"/account") {
		t.Errorf("%d at %s", back.status, back.at())
	}
	if again := b.get(back.at()); again.body == back.body {
		t.Error("the answer counts twice")
	}
	if p := b.get("/cases"); p.status != http.StatusUnauthorized || strings.Contains(p.body, "IOE") {
		t.Errorf("the back button: %d", p.status)
	}
}

func TestSignOut_WithoutTheIssuerEndsTheSessionHere(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]issuertest.Hooks{
		"no logout endpoint": {Metadata: func(m map[string]any) { delete(m, "end_session_endpoint") }},
		"no revocation":      {Metadata: func(m map[string]any) { delete(m, "end_session_endpoint"); delete(m, "revocation_endpoint") }},
		"down afterwards":    {Metadata: func(m map[string]any) { delete(m, "end_session_endpoint") }, Down: func(p string) bool { return p == "/revoke" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.issuer.Misbehave(h)
			b := w.browser()
			b.signIn()
			old := b.cookie("portal_session")
			p := b.submit(b.get("/signout"), "/signout")
			if p.status != http.StatusOK || p.at() != "/signed-out" || !strings.Contains(p.body, w.issuer.URL+"/account") {
				t.Errorf("%d at %s\n%s", p.status, p.at(), p.body)
			}
			b.setCookie("portal_session", old)
			if p := b.get("/cases"); p.status != http.StatusUnauthorized {
				t.Errorf("%d", p.status)
			}
		})
	}
}

func TestSignOut_TwiceAndFromAnOldPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.signIn()
	old := b.get("/cases").form(t, "/signout")
	if p := b.post("/signout", old); p.url.Path != "/signed-out" {
		t.Fatalf("%d at %s", p.status, p.at())
	}
	if p := b.post("/signout", old); p.url.Path != "/signed-out" || p.status != http.StatusOK {
		t.Errorf("twice: %d at %s", p.status, p.at())
	}
	b.signIn()
	p := b.post("/signout", old) // its token was bound to the session of before
	if p.at() != "/signout" || p.status != http.StatusOK {
		t.Fatalf("from an old page: %d at %s", p.status, p.at())
	}
	if p = b.submit(p, "/signout"); p.url.Path != "/signed-out" {
		t.Errorf("%d at %s", p.status, p.at())
	}
}

// D04: the answer to A's sign-out gets lost, so that A's cookie is still there when B sits down.
func TestAttack_D04_ANextPersonInheritsNothingOfAnInterruptedSignOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, ana)
	b := w.browser()
	b.signIn()
	old := b.cookie("portal_session")
	b.send(b.request(http.MethodPost, "/signout", b.get("/cases").form(t, "/signout")))
	b.setCookie("portal_session", old)
	w.issuer.SetPerson(issuertest.Person{Subject: "sub-bob", ACR: issuertest.AAL1, AuthTime: w.clock.Now()})
	b.signIn()
	if p := b.get("/cases/" + c.id); p.status != http.StatusNotFound || strings.Contains(p.body, c.receipt) {
		t.Errorf("%d %s", p.status, p.body)
	}
}

// unsure is a store whose answer to the end of a session gets lost: before it was done, or after.
type unsure struct {
	*signin.Memory
	lose atomic.Int64 // how many answers more
	done bool
}

func (u *unsure) EndSession(ctx context.Context, k signin.Key) (signin.Session, error) {
	if ctx.Err() != nil || u.lose.Add(-1) < 0 {
		return u.Memory.EndSession(ctx, k)
	}
	if u.done {
		_, _ = u.Memory.EndSession(ctx, k)
	}
	return signin.Session{}, signin.ErrUnavailable.After(2 * time.Second)
}

func TestSignOut_IsRepeatedUntilItIsCertain(t *testing.T) {
	t.Parallel()
	for name, done := range map[string]bool{"it was not done": false, "it was done": true} {
		store := &unsure{done: done}
		w := newWorldOver(t, func(*portal.Config) {}, func(w *world) []signin.Store { store.Memory = w.memory; return []signin.Store{store} })
		b := w.browser()
		b.signIn()
		form, cookie := b.get("/cases").form(t, "/signout"), b.cookie("portal_session")
		store.lose.Store(1)
		p := b.post("/signout", form)
		if p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") != "2" || !strings.Contains(p.body, `href="/signout"`) || !strings.Contains(p.body, "still be signed in") {
			t.Errorf("%s: %d, Retry-After %q\n%s", name, p.status, p.header.Get("Retry-After"), p.body)
		}
		if b.cookie("portal_session") != cookie {
			t.Errorf("%s: the browser cannot sign out again", name)
		}
		if p := b.post("/signout", form); p.status != http.StatusOK || p.url.Path != "/signed-out" {
			t.Errorf("%s: the second time %d at %s", name, p.status, p.at())
		}
		thief := w.browser()
		thief.setCookie("portal_session", cookie)
		if p := thief.get("/cases"); p.status != http.StatusUnauthorized || b.cookie("portal_session") != "" {
			t.Errorf("%s: the session goes on: %d", name, p.status)
		}
		if n := w.issuer.Live(); !done && n != 0 {
			t.Errorf("%s: %d refresh tokens are live", name, n)
		}
	}
}
