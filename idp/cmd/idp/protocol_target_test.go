package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ellis.example/idp/internal/client"
)

// aud is what an access token is for.
func aud(a answer) any { _, c := claims(a.str("access_token")); return c["aud"] }

func TestResource_AnAccessTokenIsForOneAudience(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	for _, c := range []struct{ name, scope, resource, aud, tokenScope string }{
		{"the API that the scopes name", "openid cases.read", "", casesAPI, "cases.read"},
		{"the API that is asked for", "openid cases.read", casesAPI, casesAPI, "cases.read"},
		{"an API without scopes of its own", "openid", letterAPI, letterAPI, ""},
		{"no API", "openid profile", "", w.issuer, "openid profile"},
		{"the issuer by name", "openid profile", w.issuer, w.issuer, "openid profile"},
	} {
		a := w.redeem("web", b.newCode(ana, "web", "scope", c.scope, "resource", c.resource))
		_, got := claims(a.str("access_token"))
		if got["aud"] != c.aud || got["scope"] != c.tokenScope {
			t.Errorf("%s: %v for %v", c.name, got["scope"], got["aud"])
		}
	}
}

func TestResource_IsComparedByteForByteAndIsOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("post", func(c *client.Client) { c.Scope += " cases.write" })
	b := w.withConsent(ana)
	for _, r := range []string{
		casesAPI + "/", "HTTPS://cases.example", "https://CASES.example", "https://cases.example:443", casesAPI + "#x", casesAPI + "?x", "cases", "https://nobody.example", w.issuer + "/", w.issuer + "/userinfo", "x", "*", " " + casesAPI,
	} {
		b.refusal(r, request("web", "resource", r), "invalid_target")
	}
	two := request("web")
	two["resource"] = []string{casesAPI, letterAPI}
	b.refusal("two", two, "invalid_target")
	two["resource"] = []string{casesAPI, casesAPI}
	b.refusal("the same twice", two, "invalid_target")
	b.refusal("another API than the scopes name", request("web", "resource", letterAPI), "invalid_target")
	b.refusal("the issuer, with scopes of an API", request("web", "resource", w.issuer), "invalid_target")
	b.refusal("scopes of two APIs", request("web", "scope", "openid cases.read letters.read"), "invalid_target")
	b.refusal("an API of others", request("post", "scope", "openid", "resource", letterAPI), "invalid_target")
	empty := request("web")
	empty["resource"] = []string{""}
	b.silent("an empty one is none", empty)
}

func TestResource_ATokenRequestNarrowsAndNeverWidens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	for name, r := range map[string]string{"another API": letterAPI, "unknown": "https://nobody.example", "nearly": casesAPI + "/", "the issuer's UserInfo": w.issuer + "/userinfo"} {
		w.wants(name, w.redeem("web", b.newCode(ana, "web"), "resource", r), http.StatusBadRequest, "invalid_target")
	}
	a := w.redeem("web", b.newCode(ana, "web"), "resource", w.issuer)
	if aud(a) != w.issuer || w.userinfo(a.str("access_token")).status != http.StatusOK {
		t.Fatal("the issuer, from a grant with openid:", a.body)
	}
	a = w.refresh("web", a.str("refresh_token"), "resource", casesAPI)
	if aud(a) != casesAPI {
		t.Error(a.body)
	}
	w.wants("refreshed for another API", w.refresh("web", a.str("refresh_token"), "resource", letterAPI), http.StatusBadRequest, "invalid_target")
	w.wants("for the issuer, without openid", w.refresh("web", a.str("refresh_token"), "resource", w.issuer, "scope", "cases.read"), http.StatusBadRequest, "invalid_target")
	if a = w.refresh("web", a.str("refresh_token"), "resource", w.issuer); aud(a) != w.issuer {
		t.Error("a refused request harmed the family:", a.body)
	}
	v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.str("refresh_token")}, "resource": {casesAPI, casesAPI}}
	w.wants("two", w.do(http.MethodPost, "/token", v, "Authorization", w.basic("web")), http.StatusBadRequest, "invalid_request")
	noOpenID := w.redeem("web", b.newCode(ana, "web", "scope", "cases.read"), "resource", w.issuer)
	w.wants("the issuer, from a grant without openid", noOpenID, http.StatusBadRequest, "invalid_target")
}

func TestResource_ThatTheClientLostIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	code, refresh := b.newCode(ana, "web"), w.tokens(ana, "web").str("refresh_token")
	w.change("web", func(c *client.Client) { c.APIs, c.Scope = []string{"letters"}, "openid offline_access letters.read" })
	w.wants("a code", w.redeem("web", code), http.StatusBadRequest, "invalid_target")
	w.wants("a refresh token", w.refresh("web", refresh), http.StatusBadRequest, "invalid_grant") // it has ended with what was given for the API
	b.refusal("a request", request("web"), "invalid_scope")
}

func TestScope_IsExactKnownAndRegistered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	for name, scope := range map[string]string{
		"unknown": "openid nonsense", "a wildcard": "openid cases.*", "a star": "*", "other case": "openid Cases.read", "a prefix": "openid cases", "deeper": "openid cases.read.all", "none": "", "blank": "  ",
		"a comma": "openid,profile", "address": "openid address", "an empty segment": "openid cases.", "other white space": "openid\tcases.read", "no ASCII": "openid çases.read",
		"too many": "openid " + strings.Repeat("profile ", 10) + strings.Join(numbered("s", 60), " "),
	} {
		b.refusal(name, request("web", "scope", scope), "invalid_scope")
	}
	b.refusal("another's scope", request("post", "scope", "openid cases.write"), "invalid_scope")
	a := w.redeem("web", b.grant(ana, request("web", "scope", "cases.read openid cases.read  openid")).Get("code"))
	if a.str("scope") != "cases.read openid" {
		t.Error("repeated scopes and spaces:", a.body)
	}
	if a := b.grant(ana, request("web", "scope", "cases.read")); a.Get("code") == "" {
		t.Error("OAuth without openid:", a)
	} else if got := w.redeem("web", a.Get("code")); got.status != http.StatusOK || got.str("id_token") != "" {
		t.Error("OAuth without openid:", got.body)
	}
}

func numbered(prefix string, n int) (out []string) {
	for i := range n {
		out = append(out, prefix+string(rune('a'+i%26))+strings.Repeat("x", i/26))
	}
	return out
}

func TestScope_ThatTheClientLostIsNotGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	p := b.authorize(request("web", "scope", "openid profile email")).signIn(ana)
	code, refresh := b.newCode(ana, "web", "scope", "openid profile email"), w.tokens(ana, "web", "scope", "openid profile email offline_access").str("refresh_token")
	w.change("web", func(c *client.Client) { c.Scope = "openid profile offline_access cases.read" })
	for name, a := range map[string]answer{"a code": w.redeem("web", code), "a refresh token": w.refresh("web", refresh)} {
		if strings.Contains(a.str("scope"), "email") {
			t.Errorf("%s still gives %s", name, a.str("scope"))
		}
		if u := w.userinfo(a.str("access_token")); u.status != http.StatusOK || u.object["email"] != nil {
			t.Errorf("%s still opens %s", name, u.body)
		}
	}
	w.isRefusal("a flow that was under way", p.submit("decision", "allow").answer(appURI), "st-web", "invalid_scope")
}

func TestOfflineAccess_NeedsTheGrantTypeAndAConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(`clients: [{client_id: brief, client_name: Brief Visit, redirect_uris: ["https://brief.example/cb"], token_endpoint_auth_method: none, scope: openid}]`)
	b := w.browser()
	b.refusal("a client without refresh tokens", request("brief", "redirect_uri", "https://brief.example/cb", "scope", "openid offline_access"), "invalid_scope")
	b.newCode(ana, "web", "scope", "openid cases.read")
	w.later()
	b.refusal("never allowed, and nobody may be asked", request("web", "prompt", "none"), "consent_required")
	p := b.at("never allowed", request("web"), "/consent")
	if !strings.Contains(p.text(), "while you are away") {
		t.Error("the page does not say what it means:", p.text())
	}
	a := w.redeem("web", p.submit("decision", "allow").answer(appURI).Get("code"))
	if a.str("refresh_token") == "" {
		t.Error(a.body)
	}
	b.silent("allowed before", request("web", "prompt", "none"))
	if a := w.redeem("web", b.newCode(ana, "web", "scope", "openid cases.read")); a.str("refresh_token") != "" {
		t.Error("a refresh token that was not asked for:", a.body)
	}
}

func TestConsent_IsRememberedUntilMoreIsAskedOrItIsWithdrawn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	p := b.authorize(request("web", "scope", "openid cases.read")).signIn(ana)
	if p.url.Path != "/consent" || !strings.Contains(p.text(), "Harbour Portal") || !strings.Contains(p.text(), "See your cases") || !strings.Contains(p.text(), "app.example") {
		t.Fatal(p.url.Path, p.text())
	}
	p.submit("decision", "allow")
	w.later()
	b.silent("the same", request("web", "scope", "openid cases.read"))
	b.silent("less", request("web", "scope", "openid"))
	p = b.at("more", request("web", "scope", "openid cases.read cases.write"), "/consent")
	w.isRefusal("not allowed", p.submit("decision", "deny").answer(appURI), "st-web", "access_denied")
	b.at("still more", request("web", "scope", "openid cases.read cases.write"), "/consent")
	b.at("another app", request("post", "scope", "openid cases.read"), "/consent")
	b.silent("what was allowed", request("web", "scope", "openid cases.read"))
	b.withdraw("web")
	b.at("withdrawn", request("web", "scope", "openid"), "/consent")
	b.refusal("withdrawn, and nobody may be asked", request("web", "scope", "openid", "prompt", "none"), "consent_required")
}

func TestConsent_OfANativeClientIsNeverRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.newCode(ana, "native")
	w.later()
	b.at("again", request("native"), "/consent")
	b.refusal("nobody may be asked", request("native", "prompt", "none"), "consent_required")
	var n int
	if w.count(&n, `SELECT count(*) FROM consents WHERE client = 'native'`); n != 0 {
		t.Errorf("%d consents are remembered", n)
	}
}

func TestConsent_AnAnswerCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	p := b.authorize(request("web")).signIn(ana)
	to, form := p.filled("decision", "allow")
	if a := b.post(to, form).answer(appURI); a.Get("code") == "" {
		t.Fatal(a)
	}
	again := b.post(to, form)
	if again.out != "" || again.status != http.StatusGone {
		t.Error("the same form once more:", again.status, again.out)
	}
	if p := b.get("/authorize?flow=" + p.url.Query().Get("flow")); p.out != "" || p.status != http.StatusGone {
		t.Error("the flow once more:", p.status, p.out)
	}
}
