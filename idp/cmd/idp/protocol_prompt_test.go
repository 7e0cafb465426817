package main

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/idp/internal/session"
)

// refusal fails the test unless a request is answered with the error, as every answer must be: to the client, from the
// issuer, with the state, and without a code.
func (b *browser) refusal(what string, v url.Values, code string) {
	b.w.Helper()
	b.w.isRefusal(what, b.authorize(v).answer(v.Get("redirect_uri")), v.Get("state"), code)
}

func (w *world) isRefusal(what string, a url.Values, state, code string) {
	w.Helper()
	if a.Get("error") != code || a.Has("code") || a.Get("iss") != w.issuer || a.Get("state") != state || a.Get("error_description") == "" {
		w.Errorf("%s: got %v, want %s", what, a, code)
	}
}

// at fails the test unless a request leads to a page of the provider.
func (b *browser) at(what string, v url.Values, path string) *page {
	b.w.Helper()
	p := b.authorize(v)
	if p.url.Path != path || p.out != "" || p.status != http.StatusOK {
		b.w.Errorf("%s: at %s (%d), out to %q, want %s: %s", what, p.url.Path, p.status, p.out, path, p.text())
	}
	return p
}

// silent fails the test unless a request is answered with a code and no page, and returns the ID token's claims.
func (b *browser) silent(what string, v url.Values) object {
	b.w.Helper()
	p := b.authorize(v)
	if p.out == "" {
		b.w.Errorf("%s: asks at %s", what, p.url.Path)
		return nil
	}
	return b.w.identityOf(what, p.answer(v.Get("redirect_uri")))
}

// identityOf redeems the answer to a request of the client web.
func (w *world) identityOf(what string, a url.Values) object {
	w.Helper()
	if a.Get("code") == "" {
		w.Errorf("%s: no code but %v", what, a)
		return nil
	}
	_, c := claims(w.redeem("web", a.Get("code")).str("id_token"))
	return c
}

// withConsent is a browser in which somebody is signed in and has allowed the client web what the tests ask for.
func (w *world) withConsent(email string) *browser {
	w.Helper()
	b := w.browser()
	b.newCode(email, "web")
	w.later()
	return b
}

func TestPromptNone_AsksNobodyAnything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	none := func(pairs ...string) url.Values { return request("web", append(pairs, "prompt", "none")...) }
	b.refusal("nobody is signed in", none(), "login_required")
	b.get("/account").signIn(ana)
	b.refusal("nothing is allowed yet", none(), "consent_required")
	b.grant(ana, request("web"))
	w.later()
	b.silent("signed in and allowed", none())
	b.refusal("a scope that was not allowed", none("scope", "openid profile"), "consent_required")
	b.refusal("a class that the session lacks", none("acr_values", session.AAL2), "login_required")
	b.refusal("a sign-in that is fresh", none("max_age", "0"), "login_required")
	w.clock.Advance(session.IdleTimeout)
	b.refusal("the session has ended", none(), "login_required")
}

func TestPromptLogin_AsksOnceAndRenewsTheSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	before := b.silent("no prompt", request("web"))
	w.clock.Advance(time.Minute)
	p := b.at("login", request("web", "prompt", "login"), "/signin").signIn(ana)
	after := w.identityOf("after the sign-in", p.answer(appURI))
	if after["auth_time"] != float64(w.clock.Now().Unix()) || after["auth_time"] == before["auth_time"] {
		t.Errorf("auth_time %v, then %v", before["auth_time"], after["auth_time"])
	}
	w.later()
	b.silent("the next request", request("web"))
	b.at("another one", request("web", "prompt", "login"), "/signin")
}

func TestPromptSelectAccount_LetsSomebodyElseSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	before := b.silent("no prompt", request("web"))
	p := b.at("select_account", request("web", "prompt", "select_account"), "/signin").signIn(ben)
	if p.url.Path != "/consent" {
		t.Fatalf("at %s: what Ana allowed counts for Ben", p.url.Path)
	}
	after := w.identityOf("Ben", p.submit("decision", "allow").answer(appURI))
	if after["sub"] == before["sub"] || after["sid"] == before["sid"] {
		t.Error(before, after)
	}
}

func TestPromptConsent_AsksAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	p := b.at("consent", request("web", "prompt", "consent"), "/consent")
	w.identityOf("allowed again", p.submit("decision", "allow").answer(appURI))
	p = b.at("login and consent", request("web", "prompt", "login consent"), "/signin").signIn(ana)
	if p.url.Path != "/consent" {
		t.Fatalf("at %s after the sign-in", p.url.Path)
	}
	a := p.submit("decision", "deny").answer(appURI)
	w.isRefusal("denied", a, "st-web", "access_denied")
	b.silent("what was allowed before still is", request("web"))
}

func TestPrompt_RefusesWhatContradictsItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	for _, prompt := range []string{"none login", "login none", "none consent", "none select_account", "none none", "create", "None", "login,consent", strings.Repeat("login ", 21)} {
		b.refusal(prompt, request("web", "prompt", prompt), "invalid_request")
	}
	b.at("login twice is login", request("web", "prompt", "login login"), "/signin")
}

func TestMaxAge_BoundsTheAgeOfTheSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	w.clock.Advance(59 * time.Second)
	c := b.silent("60 s ago, 60 allowed", request("web", "max_age", "60"))
	if at, ok := c["auth_time"].(float64); !ok || int64(at) != w.clock.Now().Add(-time.Minute).Unix() {
		t.Error("auth_time", c["auth_time"])
	}
	b.at("59 allowed", request("web", "max_age", "59"), "/signin")
	b.refusal("59 allowed, and nobody may be asked", request("web", "max_age", "59", "prompt", "none"), "login_required")
	p := b.at("0", request("web", "max_age", "0"), "/signin").signIn(ana)
	if c := w.identityOf("0, signed in", p.answer(appURI)); c["auth_time"] != float64(w.clock.Now().Unix()) {
		t.Error(c)
	}
	w.clock.Advance(time.Microsecond)
	b.at("0 in the same second", request("web", "max_age", "0"), "/signin")
	b.silent("an hour", request("web", "max_age", "3600"))
	for _, bad := range []string{"-1", "x", "1.5", "1e3", " 60", "0x10", "99999999999999999999", "4294967296"} {
		b.refusal("max_age="+bad, request("web", "max_age", bad), "invalid_request")
	}
}

func TestMaxAge_ARegistrationMayHaveItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(`clients: [{client_id: strict, client_name: Strict Vault, redirect_uris: ["https://strict.example/cb"], token_endpoint_auth_method: none, default_max_age: 30, default_acr_values: ["urn:ellis:aal2"], scope: openid}]`)
	v := func(pairs ...string) url.Values {
		return request("strict", append([]string{"redirect_uri", "https://strict.example/cb", "scope", "openid"}, pairs...)...)
	}
	b := w.browser()
	b.at("nobody there", v(), "/signin")
	if a := b.grant(ben, v()); a.Get("code") == "" {
		t.Fatal(a)
	}
	if p := b.authorize(v()); p.out == "" {
		t.Error("within its age it asks at", p.url.Path)
	}
	w.clock.Advance(31 * time.Second)
	b.at("older than its own age", v(), "/signin")
	if p := b.authorize(v("max_age", "60")); p.out == "" {
		t.Error("a request's own max_age does not count:", p.url.Path)
	}
	other := w.browser()
	other.get("/account").signIn(ana)
	other.at("its own class", v(), "/signin/enrol")
	other.at("the request's own class", v("acr_values", session.AAL1), "/consent")
}

func TestACRValues_LeadToAClassThatWasProven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	for name, acr := range map[string]string{"one factor": session.AAL1, "unknown": "urn:example:gold", "one factor preferred": session.AAL1 + " " + session.AAL2} {
		if c := b.silent(name, request("web", "acr_values", acr)); c["acr"] != session.AAL1 {
			t.Error(name, c["acr"])
		}
	}
	b.at("two factors, without a second", request("web", "acr_values", session.AAL2), "/signin/enrol")
	b.at("unknown, then two", request("web", "acr_values", "urn:example:gold "+session.AAL2), "/signin/enrol")
	b.refusal("too many", request("web", "acr_values", strings.Repeat("a ", 21)), "invalid_request")

	a := w.identityOf("two factors", w.browser().grant(ben, request("web", "acr_values", session.AAL2)))
	amr, _ := a["amr"].([]any)
	if a["acr"] != session.AAL2 || !slices.Contains(amr, any("otp")) || !slices.Contains(amr, any("pwd")) || !slices.Contains(amr, any("mfa")) {
		t.Error(a)
	}
	if c := w.identityOf("who has a second factor is asked for it anyway", w.browser().grant(ben, request("web"))); c["acr"] != session.AAL2 {
		t.Error(c)
	}
}

func TestLoginHint_FillsInTheFormAndDecidesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, hint := range []string{ben, `"><script>alert(1)</script>`, "nobody@example.org"} {
		p := w.browser().at(hint, request("web", "login_hint", hint), "/signin")
		if f := p.form("identifier", ""); f == nil || f.values.Get("identifier") != hint {
			t.Errorf("%q is not in the form", hint)
		}
		if strings.Contains(p.body, "<script>alert") {
			t.Error("the hint is markup")
		}
	}
	p := w.browser().at("Ben", request("web", "login_hint", ben), "/signin").signIn(ana)
	if p.url.Path != "/consent" {
		t.Error("a hint keeps others out:", p.url.Path)
	}
}

func TestIDTokenHint_NobodyElseWillDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	mine := w.redeem("web", b.newCode(ana, "web"))
	w.later()
	other := w.tokens(ben, "web").str("id_token")
	foreign := w.tokens(ana, "post").str("id_token")
	hint := func(token string, pairs ...string) url.Values {
		return request("web", append(pairs, "id_token_hint", token)...)
	}

	b.silent("who is there", hint(mine.str("id_token"), "prompt", "none"))
	b.refusal("another, and nobody may be asked", hint(other, "prompt", "none"), "login_required")
	p := b.at("another", hint(other), "/signin").signIn(ana)
	w.isRefusal("the wrong one signed in", p.answer(appURI), "st-web", "login_required")
	w.later()
	p = b.at("another again", hint(other), "/signin").signIn(ben)
	if p.url.Path == "/consent" {
		p = p.submit("decision", "allow")
	}
	w.identityOf("the right one signed in", p.answer(appURI))

	for name, bad := range map[string]string{
		"another client's": foreign, "an access token": mine.str("access_token"), "a refresh token": mine.str("refresh_token"), "cut": mine.str("id_token")[:200], "nothing like it": "x",
		"too long": strings.Repeat("x", 8193),
	} {
		b.refusal(name, hint(bad), "invalid_request")
	}
}

func TestIDTokenHint_MayBeOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hint := w.tokens(ana, "web").str("id_token")
	w.clock.Advance(time.Hour)
	w.must(w.p.ring.Rotate(t.Context(), "RS256", false))
	w.clock.Advance(25 * time.Hour)
	w.must(w.p.ring.Maintain(t.Context()))
	head, _ := claims(hint)
	if slices.ContainsFunc(w.published().Keys, func(k jose.JSONWebKey) bool { return k.KeyID == head["kid"] }) {
		t.Fatal("its key is still published")
	}
	w.withConsent(ana).silent("signed by a retired key, expired", request("web", "id_token_hint", hint, "prompt", "none"))
	w.must(w.p.ring.Rotate(t.Context(), "RS256", true))
	w.browser().refusal("its key was given up", request("web", "id_token_hint", hint), "invalid_request")
}

func TestUILocales_ChooseTheLanguage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for locales, want := range map[string]string{"es": "es", "en": "en", "fr es": "es", "fr": "en", "es-MX en": "es", "xx-invalid-äö": "en"} {
		b := w.browser()
		b.lang = "en"
		p := b.at(locales, request("web", "ui_locales", locales), "/signin")
		if got := p.header.Get("Content-Language"); got != want {
			t.Errorf("%q is answered in %s, want %s", locales, got, want)
		}
		if p = p.signIn(ana); p.header.Get("Content-Language") != want {
			t.Errorf("%q: the consent is asked in %s", locales, p.header.Get("Content-Language"))
		}
	}
	w.browser().refusal("too many", request("web", "ui_locales", strings.Repeat("en ", 21)), "invalid_request")
}

func TestAuthorize_DisplayAndClaimsAndStrangersAreIgnored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	for i, v := range []url.Values{request("web", "display", "popup"), request("web", "claims", `{"id_token":{"email":null}}`), request("web", "audience", casesAPI), request("web", "unknown", "x")} {
		c := b.silent(strconv.Itoa(i), v)
		if c["email"] != nil {
			t.Error("claims is not supported, and yet", c)
		}
	}
	twice := request("web")
	twice["unknown"] = []string{"a", "b"}
	b.silent("unknown parameters twice", twice)
}
