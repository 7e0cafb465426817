package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const byeURI = "https://app.example/bye"

// leave is a logout request.
func leave(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return "/logout?" + v.Encode()
}

// confirm answers the question whether to sign out.
func (p *page) confirm() *page {
	p.b.w.Helper()
	for i, f := range p.forms {
		if f.action == "/logout/confirm" {
			return p.forms[i].send(p)
		}
	}
	p.b.w.Fatalf("no question at %s (%d): %s", p.url.Path, p.status, p.text())
	return nil
}

func TestLogout_AsksThenEndsTheSessionAndLeadsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	a := w.redeem("web", b.newCode(ana, "web"))
	p := b.get(leave("id_token_hint", a.str("id_token"), "post_logout_redirect_uri", byeURI, "state", "s &1"))
	if p.status != http.StatusOK || p.out != "" || !strings.Contains(p.text(), "Harbour Portal") || !strings.HasSuffix(p.header.Get("Content-Security-Policy"), "form-action 'self' https://app.example") {
		t.Fatal(p.status, p.out, p.text())
	}
	if !w.active("cases", a.str("access_token")) || !b.isIn() {
		t.Fatal("the question alone signed out")
	}
	if p = p.confirm(); p.out != byeURI+"?state=s+%261" || p.status != http.StatusSeeOther {
		t.Error(p.status, p.out)
	}
	if b.isIn() || w.active("cases", a.str("access_token")) {
		t.Error("the session or what came of it stands")
	}
	w.wants("refresh", w.refresh("web", a.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
	b.refusal("no single sign-on any more", request("web", "prompt", "none"), "login_required")
}

func TestLogout_WithNobodySignedInLeadsBackAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, pairs := range map[string][]string{"by client_id": {"client_id", "web"}, "by a hint": {"id_token_hint", w.tokens(ana, "web").str("id_token")}} {
		if p := w.browser().get(leave(append(pairs, "post_logout_redirect_uri", byeURI, "state", "x")...)); p.out != byeURI+"?state=x" {
			t.Error(name, p.status, p.out)
		}
	}
	if p := w.browser().get("/logout"); p.status != http.StatusOK || p.out != "" {
		t.Error("the person alone:", p.status, p.out)
	}
}

func TestLogout_RedirectsByteForByteAndOnlyForAKnownClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	hint := w.tokens(ana, "web").str("id_token")
	for _, uri := range []string{"https://evil.example/bye", byeURI + "/", byeURI + "?x", byeURI + "#", "https://app.example:443/bye", "HTTPS://app.example/bye", "https://app.example/by%65", appURI, "javascript:alert(1)", "//evil.example", "/\\evil.example", "https://app.example@evil.example/bye"} {
		for name, pairs := range map[string][]string{"hint": {"id_token_hint", hint}, "client": {"client_id", "web"}} {
			if p := b.get(leave(append(pairs, "post_logout_redirect_uri", uri)...)); p.status != http.StatusBadRequest || p.out != "" {
				t.Errorf("%s %s: %d to %q", name, uri, p.status, p.out)
			}
		}
	}
	for name, q := range map[string]string{
		"no client": leave("post_logout_redirect_uri", byeURI), "another client": leave("post_logout_redirect_uri", byeURI, "client_id", "post"), "unknown": leave("post_logout_redirect_uri", byeURI, "client_id", "nobody"),
		"hint of another than client_id": leave("post_logout_redirect_uri", byeURI, "client_id", "post", "id_token_hint", hint), "twice": leave("post_logout_redirect_uri", byeURI, "client_id", "web") + "&post_logout_redirect_uri=" + url.QueryEscape(byeURI),
	} {
		if p := b.get(q); p.status != http.StatusBadRequest || p.out != "" {
			t.Errorf("%s: %d to %q", name, p.status, p.out)
		}
	}
	if !b.isIn() {
		t.Error("a refused request signed out")
	}
	p := b.get(leave("client_id", "web", "post_logout_redirect_uri", byeURI))
	f := p.form("post_logout_redirect_uri", byeURI)
	f.values.Set("post_logout_redirect_uri", "https://evil.example/")
	if p = f.send(p); p.out != "" || p.status != http.StatusBadRequest || !b.isIn() {
		t.Error("changed in the form:", p.status, p.out)
	}
}

func TestLogout_HintIsAnIDTokenOfOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	a := w.tokens(ana, "web")
	_, c := claims(a.str("id_token"))
	forged, err := signJWS(clientKeys()["PS256"], "RS256", w.published().Keys[0].KeyID, "JWT", c)
	w.must(err)
	for name, hint := range map[string]string{"forged": forged, "an access token": a.str("access_token"), "a refresh token": a.str("refresh_token"), "nothing like it": "x", "too long": strings.Repeat("a", 9000)} {
		if p := b.get(leave("id_token_hint", hint, "post_logout_redirect_uri", byeURI)); p.status != http.StatusBadRequest || p.out != "" {
			t.Errorf("%s: %d to %q", name, p.status, p.out)
		}
	}
	for name, forged := range forgeries(t, w.published(), "JWT", c) {
		if p := b.get(leave("id_token_hint", forged)); p.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	w.clock.Advance(30 * 24 * time.Hour)
	if p := w.browser().get(leave("id_token_hint", a.str("id_token"), "post_logout_redirect_uri", byeURI)); p.out != byeURI {
		t.Error("an expired one:", p.status, p.out, p.text())
	}
}

func TestLogout_TakesAPostedForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	v := url.Values{"client_id": {"web"}, "post_logout_redirect_uri": {byeURI}, "state": {"1"}}
	p := b.once(http.MethodPost, "/logout", v, "Sec-Fetch-Site", "cross-site", "Origin", "https://app.example")
	if p.status != http.StatusOK || p.form("csrf_token", "") == nil {
		t.Fatal(p.status, p.text())
	}
	if p = p.confirm(); p.out != byeURI+"?state=1" {
		t.Error(p.status, p.out)
	}
}

func TestLogout_ThePersonMayReadTheQuestionInAnotherLanguage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	p := b.get(leave("client_id", "web", "post_logout_redirect_uri", byeURI, "state", "1")).formTo("/language")
	q := p.send(b.get("/logout"), "lang", "es")
	if q.status != http.StatusOK || q.header.Get("Content-Language") != "es" || q.url.Path != "/logout" {
		t.Fatal(q.status, q.url, q.header.Get("Content-Language"), q.text())
	}
	if q = q.confirm(); q.out != byeURI+"?state=1" {
		t.Error(q.status, q.out)
	}
}

func TestLogout_NobodyElseCanConfirm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const to = "/logout/confirm"
	b, other := w.withConsent(ana), w.withConsent(ben)
	mine, theirs, language := b.get("/logout").formTo(to).values, other.get("/logout").formTo(to).values, b.get("/logout").formTo("/language").values
	for name, v := range map[string]url.Values{"without a token": {"client_id": {"web"}}, "with another's token": theirs, "with a token of another form": {"csrf_token": language["csrf_token"]}} {
		if p := b.once(http.MethodPost, to, v, "Sec-Fetch-Site", "same-origin"); p.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	if p := b.once(http.MethodPost, to, mine, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); p.status != http.StatusForbidden {
		t.Error("from another site:", p.status)
	}
	if p := b.once(http.MethodGet, "/logout/confirm", nil); p.status != http.StatusMethodNotAllowed {
		t.Error("GET", p.status)
	}
	if !b.isIn() || !other.isIn() {
		t.Error("somebody was signed out")
	}
	if p := b.once(http.MethodPost, to, mine, "Sec-Fetch-Site", "same-origin"); p.status != http.StatusOK || b.isIn() {
		t.Error("the person themself:", p.status)
	}
}

func TestAttack_D11_TheCookieOfAnEndedSessionIsDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	thief := b.twin()
	if !thief.isIn() {
		t.Fatal("the copied cookie does not even open a living session")
	}
	b.logOut()
	if b.cookie("idp_session") != "" {
		t.Error("the browser keeps the cookie")
	}
	if thief.isIn() {
		t.Error("the account is open to the old cookie")
	}
	thief.refusal("the old cookie", request("web", "prompt", "none"), "login_required")
	thief.at("the old cookie, asked", request("web"), "/signin")
}

func TestAttack_C26_NoTokenIsASessionCookie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.browser()
	a := w.redeem("web", owner.newCode(ana, "web"))
	tokens := map[string]string{
		"access": a.str("access_token"), "id": a.str("id_token"), "refresh": a.str("refresh_token"), "code": owner.newCode(ana, "web"), "client secret": w.secrets["web"],
		"device": owner.cookie("idp_device"), "flow": owner.cookie("idp_flow"), "csrf": owner.cookie("idp_csrf"), "account": w.people[ana],
	}
	for kind, token := range tokens {
		for _, name := range []string{"idp_session", "idp_signin", "idp_flow", "idp_device", "idp_signup", "__Host-idp_session"} {
			b := w.browser()
			b.setCookie(name, token)
			if b.isIn() {
				t.Errorf("the %s token in %s opens the account", kind, name)
			}
			b.refusal(kind+" in "+name, request("web", "prompt", "none"), "login_required")
		}
	}
	b := w.browser()
	b.setCookie("idp_device", owner.cookie("idp_session"))
	if b.isIn() {
		t.Error("a session under the device's name")
	}
	b.setCookie("idp_session", owner.cookie("idp_session"))
	if !b.isIn() {
		t.Error("the session's own cookie under its own name is refused")
	}
	for kind, secret := range map[string]string{"session cookie": owner.cookie("idp_session"), "device cookie": owner.cookie("idp_device"), "flow cookie": owner.cookie("idp_flow")} {
		w.wants(kind+" as access token", w.userinfo(secret), http.StatusUnauthorized, "invalid_token")
		w.wants(kind+" as refresh token", w.refresh("web", secret), http.StatusBadRequest, "invalid_grant")
		w.wants(kind+" as code", w.redeem("web", secret), http.StatusBadRequest, "invalid_grant")
	}
}

func TestAttack_D03_AFlowGoesOnInItsOwnBrowserOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, thief := w.browser(), w.withConsent(ben)
	p := b.authorize(request("web")).signIn(ana)
	to, form := p.filled("decision", "allow")
	flow := p.url.Query().Get("flow")
	for name, stranger := range map[string]*browser{"somebody else": thief, "nobody": w.browser()} {
		for _, path := range []string{"/consent", "/authorize", "/signin", "/signin/factor", "/signin/enrol"} {
			if p := stranger.get(path + "?flow=" + flow); p.status != http.StatusForbidden || p.out != "" {
				t.Errorf("%s at %s: %d %s", name, path, p.status, p.out)
			}
		}
		if p := stranger.post(to, form); p.status != http.StatusForbidden || p.out != "" {
			t.Errorf("%s allows it: %d %s", name, p.status, p.out)
		}
	}
	b.post(to, form)
	if p := thief.get("/authorize?flow=" + flow); p.out != "" {
		t.Error("the code goes to another browser:", p.out)
	}
}

func TestAttack_D05_ACancelledSignInLeavesTheOldSessionToItsOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	before := b.silent("Ana", request("web"))
	old := b.twin()
	b.at("cancelled", request("web", "prompt", "login"), "/signin")
	p := b.at("begun again", request("web", "prompt", "login"), "/signin").signIn(ben)
	if p.url.Path == "/consent" {
		p = p.submit("decision", "allow")
	}
	after := w.identityOf("Ben", p.answer(appURI))
	if after["sid"] == before["sid"] || after["sub"] == before["sub"] || after["sid"] == nil {
		t.Errorf("Ana is %v in %v, Ben %v in %v", before["sub"], before["sid"], after["sub"], after["sid"])
	}
	w.later()
	if c := old.silent("Ana's session", request("web")); c["sid"] != before["sid"] || c["sub"] != before["sub"] {
		t.Error("it is another's now:", c)
	}
	if c := b.silent("the browser's session", request("web")); c["sub"] != after["sub"] {
		t.Error(c)
	}
}

// logOut ends the session of a browser as somebody does who comes from no app.
func (b *browser) logOut() {
	b.w.Helper()
	b.get("/logout").confirm()
}
