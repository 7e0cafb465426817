package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/signin/issuertest"
)

func TestSignIn_LeadsToThePageThatWasAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, ana)
	b := w.browser()
	p := b.get("/cases/" + c.id)
	if p.status != http.StatusUnauthorized || !strings.Contains(p.body, `href="/signin?return_to=%2Fcases%2F`+c.id+`"`) {
		t.Fatalf("%d %s", p.status, p.body)
	}
	p = b.get("/signin?return_to=" + url.QueryEscape("/cases/"+c.id))
	if p.status != http.StatusOK || p.at() != "/cases/"+c.id || !strings.Contains(p.body, "IOE") {
		t.Errorf("%d at %s", p.status, p.at())
	}
	if p := b.get("/"); p.at() != "/cases" {
		t.Errorf("the front page leads to %s", p.at())
	}
	if p := b.get("/signin?return_to=/claim"); p.at() != "/claim" || len(p.trail) != 1 {
		t.Errorf("signed in already, and led over %q", p.trail)
	}
}

func TestSignIn_AsksTheIssuerForWhatItHasTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.header["Accept-Language"] = "es-MX"
	b.signIn()
	w.browser().signIn()
	asked := w.issuer.Requests()
	if len(asked) != 2 {
		t.Fatal(asked)
	}
	q := asked[0]
	for name, want := range map[string]string{
		"client_id": issuertest.ClientID, "response_type": "code", "redirect_uri": w.url + "/callback", "code_challenge_method": "S256",
		"resource": issuertest.Resource, "ui_locales": "es", "scope": "openid offline_access cases:read cases:claim",
		"max_age": "", "acr_values": "", "prompt": "", "response_mode": "",
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if a, b := q.Get(name), asked[1].Get(name); a == b || len(a) < 43 {
			t.Errorf("%s: %q, then %q", name, a, b)
		}
	}
}

// start begins a sign-in and returns the issuer's answer, not yet handed to the portal.
func (b *browser) answer() *url.URL {
	b.w.t.Helper()
	p := b.step("/signin")
	p = b.step(p.header.Get("Location"))
	u, err := url.Parse(p.header.Get("Location"))
	if err != nil || p.status != http.StatusSeeOther {
		b.w.t.Fatalf("%d %v", p.status, err)
	}
	return u
}

// with returns the address with other parameters.
func with(u *url.URL, change func(url.Values)) string {
	q := u.Query()
	change(q)
	c := *u
	c.RawQuery = q.Encode()
	return c.String()
}

func TestCallback_RefusesEveryAnswerThatWasNotAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		name   string
		change func(url.Values)
		status int
	}{
		{"no state", func(q url.Values) { q.Del("state") }, http.StatusGone},
		{"another state", func(q url.Values) { q.Set("state", strings.Repeat("A", 43)) }, http.StatusGone},
		{"state of another case", func(q url.Values) { q.Set("state", strings.ToLower(q.Get("state"))+"x") }, http.StatusGone},
		{"another issuer", func(q url.Values) { q.Set("iss", "https://evil.example") }, http.StatusForbidden},
		{"issuer with a slash", func(q url.Values) { q.Set("iss", w.issuer.URL+"/") }, http.StatusForbidden},
		{"no issuer", func(q url.Values) { q.Del("iss") }, http.StatusForbidden},
		{"no code", func(q url.Values) { q.Del("code") }, http.StatusForbidden},
		{"another code", func(q url.Values) { q.Set("code", "code-nobody-made") }, http.StatusGone},
		{"two codes", func(q url.Values) { q.Add("code", q.Get("code")) }, http.StatusForbidden},
		{"two states", func(q url.Values) { q.Add("state", "x") }, http.StatusForbidden},
		{"two issuers", func(q url.Values) { q.Add("iss", "https://evil.example") }, http.StatusForbidden},
		{"two errors", func(q url.Values) { q["error"] = []string{"access_denied", "login_required"} }, http.StatusForbidden},
		{"a long code", func(q url.Values) { q.Set("code", strings.Repeat("c", 4096)) }, http.StatusForbidden},
		{"error beside a code", func(q url.Values) { q.Set("error", "access_denied") }, http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := w.browser()
			p := b.step(with(b.answer(), c.change))
			if p.status != c.status || b.cookie("portal_session") != "" {
				t.Errorf("%d %s", p.status, p.body)
			}
			if !strings.Contains(p.body, `href="/signin`) {
				t.Error("no way on")
			}
			if p := b.get("/cases"); p.status != http.StatusUnauthorized {
				t.Errorf("signed in: %d", p.status)
			}
		})
	}
	b := w.browser()
	u := b.answer()
	u.RawQuery += "&%zz"
	if p := b.step(u.String()); p.status != http.StatusGone {
		t.Errorf("a query that cannot be read: %d", p.status)
	}
}

func TestCallback_AnAnswerCountsOnceAndInItsBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	u := b.answer().String()
	if p := w.browser().step(u); p.status != http.StatusGone {
		t.Errorf("another browser, without a cookie: %d", p.status)
	}
	mallory := w.browser()
	mallory.answer()
	if p := mallory.step(u); p.status != http.StatusGone { // login CSRF: D06
		t.Errorf("another browser, with a sign-in of its own: %d", p.status)
	}
	if p := b.step(u); p.status != http.StatusSeeOther || b.cookie("portal_session") == "" {
		t.Errorf("after somebody else tried: %d", p.status)
	}
	b.signIn()
	u = b.answerWhileSignedIn(t)
	if p := b.get(u); p.at() != "/cases" || p.status != http.StatusOK {
		t.Errorf("%d at %s", p.status, p.at())
	}
	if p := b.get(u); p.at() != "/cases" || p.status != http.StatusOK {
		t.Errorf("back button: %d at %s", p.status, p.at())
	}
	if n, _ := w.issuer.Counts(); n != 2 {
		t.Errorf("%d codes were redeemed", n)
	}
}

// answerWhileSignedIn begins another sign-in in a second tab, as somebody does whose page said so before the first ended.
func (b *browser) answerWhileSignedIn(t *testing.T) string {
	t.Helper()
	session := b.cookie("portal_session")
	b.setCookie("portal_session", "")
	u := b.answer().String()
	b.setCookie("portal_session", session)
	return u
}

func TestCallback_AttemptEndsAfterAnHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	u := b.answer()
	w.clock.Advance(time.Hour)
	if p := b.step(u.String()); p.status != http.StatusGone {
		t.Errorf("%d", p.status)
	}
}

func TestCallback_ErrorsOfTheIssuerHaveAPageEach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for code, want := range map[string]struct {
		status int
		says   string
	}{
		"access_denied":           {http.StatusForbidden, `href="/signin"`},
		"login_required":          {http.StatusForbidden, `href="/signin"`},
		"consent_required":        {http.StatusForbidden, `href="/signin"`},
		"interaction_required":    {http.StatusForbidden, `href="/signin"`},
		"temporarily_unavailable": {http.StatusServiceUnavailable, `href="/signin"`},
		"server_error":            {http.StatusServiceUnavailable, "req_"},
		"invalid_scope":           {http.StatusInternalServerError, "req_"},
		"unauthorized_client":     {http.StatusInternalServerError, "req_"},
		`"><script>x</script>`:    {http.StatusInternalServerError, "req_"},
	} {
		b := w.browser()
		p := b.step(with(b.answer(), func(q url.Values) {
			q.Del("code")
			q.Set("error", code)
			q.Set("error_description", `<script>alert("d")</script>`)
		}))
		if p.status != want.status || !strings.Contains(p.body, want.says) || strings.Contains(p.body, "<script") {
			t.Errorf("%s: %d %s", code, p.status, p.body)
		}
		if want.status == http.StatusServiceUnavailable && p.header.Get("Retry-After") == "" && !strings.Contains(p.body, "second") {
			t.Errorf("%s: when to come back is not said", code)
		}
	}
}

func TestSignIn_WrongIDTokensSignNobodyIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	set := func(name string, value any) issuertest.Hooks {
		return issuertest.Hooks{IDToken: func(c map[string]any) {
			c[name] = value
			if value == nil {
				delete(c, name)
			}
		}}
	}
	sign := func(header map[string]any, change func(text string) string) issuertest.Hooks {
		return issuertest.Hooks{SignID: func(c map[string]any) string { return change(issuertest.Sign(w.issuer.Key(), header, c)) }}
	}
	good := map[string]any{"alg": "ES256", "kid": "k1"}
	same := func(s string) string { return s }
	for name, h := range map[string]issuertest.Hooks{
		"none":            {Token: func(m map[string]any) { delete(m, "id_token") }},
		"no text":         {Token: func(m map[string]any) { m["id_token"] = 7 }},
		"another nonce":   set("nonce", strings.Repeat("n", 43)),
		"no nonce":        set("nonce", nil),
		"another issuer":  set("iss", "https://evil.example"),
		"another client":  set("aud", "demo-web"),
		"several clients": set("aud", []string{issuertest.ClientID, "demo-web"}),
		"another party":   set("azp", "demo-web"),
		"nobody":          set("sub", ""),
		"a long subject":  set("sub", strings.Repeat("s", 256)),
		"expired":         set("exp", start.Add(-time.Minute).Unix()),
		"no end":          set("exp", nil),
		"from the future": set("auth_time", start.Add(time.Hour).Unix()),
		"another token":   set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
		"altered": sign(good, func(s string) string {
			parts := strings.Split(s, ".")
			return parts[0] + "." + parts[1][:20] + flip(parts[1][20]) + parts[1][21:] + "." + parts[2]
		}),
		"without signature": sign(good, func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] }),
		"alg none":          sign(map[string]any{"alg": "none"}, func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] }),
		"alg HS256":         sign(map[string]any{"alg": "HS256", "kid": "k1"}, same),
		"alg of a family":   sign(map[string]any{"alg": "ES384", "kid": "k1"}, same),
		"another key":       sign(map[string]any{"alg": "ES256", "kid": "k2"}, same),
		"an access token":   {Token: func(m map[string]any) { m["id_token"] = m["access_token"] }},
		"a token kind":      {Token: func(m map[string]any) { m["token_type"] = "DPoP" }},
	} {
		w.issuer.Misbehave(h)
		b := w.browser()
		p := b.get("/signin")
		if p.status != http.StatusForbidden || b.cookie("portal_session") != "" {
			t.Errorf("%s: %d at %s", name, p.status, p.at())
		}
		if !strings.Contains(p.body, `href="/signin"`) {
			t.Errorf("%s: no way on: %s", name, p.body)
		}
	}
	w.issuer.Misbehave(issuertest.Hooks{})
	w.browser().signIn()
}

func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestSignIn_MetadataThatAreNotSafeAreNotUsed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(m map[string]any){
		"another issuer":     func(m map[string]any) { m["issuer"] = "https://evil.example" },
		"no PKCE":            func(m map[string]any) { delete(m, "code_challenge_methods_supported") },
		"plain PKCE alone":   func(m map[string]any) { m["code_challenge_methods_supported"] = []string{"plain"} },
		"no token endpoint":  func(m map[string]any) { delete(m, "token_endpoint") },
		"a script":           func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" },
		"userinfo in a URL":  func(m map[string]any) { m["token_endpoint"] = "http://issuer@evil.example/token" },
		"no keys":            func(m map[string]any) { delete(m, "jwks_uri") },
		"a relative address": func(m map[string]any) { m["authorization_endpoint"] = "/authorize" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.issuer.Misbehave(issuertest.Hooks{Metadata: change})
			b := w.browser()
			p := b.get("/signin")
			if p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") == "" || len(w.issuer.Requests()) != 0 {
				t.Fatalf("%d", p.status)
			}
			w.issuer.Misbehave(issuertest.Hooks{})
			if p := b.get("/signin"); p.status != http.StatusServiceUnavailable {
				t.Errorf("it asked again at once: %d", p.status)
			}
			w.clock.Advance(2 * time.Second)
			b.signIn()
		})
	}
}

func TestSignIn_IssuerDownIsAPageThatSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	down := func(paths ...string) {
		w.issuer.Misbehave(issuertest.Hooks{Down: func(path string) bool {
			for _, p := range paths {
				if p == path || p == "" {
					return true
				}
			}
			return false
		}})
	}
	down("")
	b := w.browser()
	if p := b.get("/signin"); p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") == "" {
		t.Errorf("%d", p.status)
	}
	if p := b.get("/"); p.status != http.StatusOK {
		t.Errorf("the front page: %d", p.status)
	}
	w.clock.Advance(2 * time.Second)
	down("/token")
	if p := b.get("/signin"); p.status != http.StatusServiceUnavailable {
		t.Errorf("no token: %d", p.status)
	}
	down("/jwks")
	if p := b.get("/signin"); p.status != http.StatusServiceUnavailable {
		t.Errorf("no keys: %d", p.status)
	}
	w.issuer.Misbehave(issuertest.Hooks{})
	b.signIn()
	down("")
	w.clock.Advance(2 * time.Hour)
	if p := w.browser().step("/signin"); p.status != http.StatusSeeOther {
		t.Errorf("metadata that are known are not used: %d", p.status)
	}
}

func TestSignIn_HeadBeginsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	if p := b.send(b.request(http.MethodHead, "/signin", nil)); p.status != http.StatusOK || len(p.header.Values("Set-Cookie")) != 0 {
		t.Errorf("%d %v", p.status, p.header)
	}
}
