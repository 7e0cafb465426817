package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ellis.example/idp/internal/session"
)

// stays fails the test unless a request is answered by an error page: no redirect, no form that leads elsewhere.
func (b *browser) stays(what string, v url.Values) {
	b.w.Helper()
	p := b.authorize(v)
	if p.status != http.StatusBadRequest || p.header.Get("Location") != "" || !strings.HasPrefix(p.header.Get("Content-Type"), "text/html") {
		b.w.Errorf("%s: %d to %q: %s", what, p.status, p.header.Get("Location"), p.text())
	}
	for _, f := range p.forms {
		if f.action != "" && !strings.HasPrefix(f.action, "/") {
			b.w.Errorf("%s: a form leads to %q", what, f.action)
		}
	}
	if csp := p.header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self'") {
		b.w.Errorf("%s: %s", what, csp)
	}
}

// strangeURIs are near misses of what the clients web and native registered.
var strangeURIs = map[string][]string{
	"web": {
		"https://evil.example/cb", "https://app.example/cb/", "https://app.example/CB", "https://app.example/cb?", "https://app.example/cb?x=1", "https://app.example/cb#", "https://app.example/c%62",
		"https://app.example/cb/../cb", "https://app.example//cb", "https://app.example:443/cb", "http://app.example/cb", "HTTPS://app.example/cb", "https://APP.example/cb", "https://app.example.evil.example/cb",
		"https://evil.example@app.example/cb", "https://app.example@evil.example/cb", "https://app.example/other", "https://app.example/other?tenant=2", "https://app.example/other?tenant=1&tenant=1",
		" https://app.example/cb", "https://app.example/cb ", "https://app.example/cb\x00", "https://app.example/cb\n", "https://app.example\\@evil.example/cb", "//app.example/cb", "/cb", "javascript:alert(1)", "data:text/html,x", "x",
	},
	"native": {
		"https://127.0.0.1/cb", "http://localhost/cb", "http://evil@127.0.0.1/cb", "http://127.0.0.1/cb/", "http://127.0.0.1/%63b", "http://127.0.0.1/cb#", "http://127.0.0.1/cb?", "http://127.0.0.1:0/cb", "http://127.0.0.1:65536/cb",
		"http://127.0.0.1:/cb", "http://127.0.0.1:080/cb", "http://127.0.0.1:80@evil.example/cb", "http://127.0.0.2/cb", "http://127.1/cb", "http://[::2]/cb", "http://[::ffff:127.0.0.1]/cb", "http://2130706433/cb", "http://127.0.0.1.evil.example/cb",
		"com.example.tide:/cb/", "com.example.tide://cb", "com.example.tide:/cb?x", "com.example.tide2:/cb",
	},
}

func TestAttack_A12_NoResponseModeWidensTheRedirects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	for client, uris := range strangeURIs {
		for _, uri := range uris {
			for _, mode := range []string{"", "query", "form_post", "fragment", "form_post.jwt", "jwt", "web_message"} {
				v := request(client, "response_mode", mode)
				v.Set("redirect_uri", uri)
				b.stays(client+" "+mode+" to "+uri, v)
			}
		}
	}
}

func TestAttack_A17_NoErrorIsSentToAnUnregisteredRedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	for name, pairs := range map[string][]string{
		"invalid_scope": {"scope", "nonsense"}, "login_required": {"prompt", "none"}, "unsupported_response_type": {"response_type", "token"}, "bad PKCE": {"code_challenge", "x"}, "no PKCE": {"code_challenge", ""},
		"bad max_age": {"max_age", "-1"}, "bad prompt": {"prompt", "none login"}, "bad hint": {"id_token_hint", "x"}, "request object": {"request", "x"}, "invalid_target": {"resource", "https://nobody.example"},
		"bad mode": {"response_mode", "fragment"}, "long state": {"state", strings.Repeat("s", 2049)},
	} {
		v := request("web", pairs...)
		v.Set("redirect_uri", "https://evil.example/cb")
		b.stays(name, v)
		v = request("web", append(pairs, "client_id", "nobody")...)
		b.stays(name+" of an unknown client", v)
	}
	for name, v := range map[string]url.Values{
		"no redirect_uri with openid": request("web", "redirect_uri", ""), "no client": request("web", "client_id", ""), "an empty redirect_uri": request("web"), "a client without redirects": request("machine"),
		"two redirect_uris": request("web"), "two clients": request("web"), "no redirect_uri of many": request("web", "redirect_uri", "", "scope", "cases.read"),
	} {
		switch name {
		case "an empty redirect_uri":
			v.Set("redirect_uri", "")
		case "two redirect_uris":
			v.Add("redirect_uri", appURI)
		case "two clients":
			v.Add("client_id", "web")
		case "a client without redirects":
			v.Set("redirect_uri", appURI)
		}
		b.stays(name, v)
	}
}

func TestRedirect_OfADisabledClientIsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	w.disable("web", true)
	b.stays("disabled", request("web", "prompt", "none"))
}

func TestRedirect_LoopbackTakesAnyPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	for _, uri := range []string{"http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", "http://127.0.0.1/cb", "http://[::1]:4711/cb", "com.example.tide:/cb"} {
		v := request("native", "redirect_uri", uri)
		a := b.grant(ana, v)
		if a.Get("code") == "" || a.Get("iss") != w.issuer {
			t.Errorf("%s: %v", uri, a)
			continue
		}
		if uri == "http://127.0.0.1:1/cb" {
			w.wants("another port at the token endpoint", w.redeem("native", a.Get("code"), "redirect_uri", "http://127.0.0.1:2/cb"), http.StatusBadRequest, "invalid_grant")
		}
		if got := w.redeem("native", a.Get("code"), "redirect_uri", uri); got.status != http.StatusOK {
			t.Errorf("%s: %s", uri, got.body)
		}
	}
}

func TestRedirect_KeepsTheRegisteredQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	v := request("web", "redirect_uri", "https://app.example/other?tenant=1")
	if a := b.grant(ana, v); a.Get("tenant") != "1" || a.Get("code") == "" || a.Get("state") == "" {
		t.Error(a)
	}
	v.Set("prompt", "none login")
	if p := b.authorize(v); !strings.HasPrefix(p.out, "https://app.example/other?tenant=1&") || p.status != http.StatusSeeOther {
		t.Error(p.status, p.out)
	}
}

// posted reads an answer in response mode form_post: where its form leads and what it carries.
func (p *page) posted() (to string, v url.Values) {
	p.b.w.Helper()
	for _, f := range p.forms {
		if f.values.Has("iss") {
			return f.action, f.values
		}
	}
	p.b.w.Fatalf("no form_post answer at %s (%d): %s", p.url.Path, p.status, p.text())
	return "", nil
}

func TestFormPost_CarriesTheAnswerToTheRedirectAndNowhereElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	for name, pairs := range map[string][]string{"code": nil, "error": {"max_age", "x"}, "markup in state": {"state", `"><script>x</script>`}} {
		v := request("web", append(pairs, "response_mode", "form_post")...)
		p := b.authorize(v)
		to, got := p.posted()
		if p.status != http.StatusOK || to != appURI || got.Get("iss") != w.issuer || got.Get("state") != v.Get("state") || got.Has("code") == got.Has("error") || got.Has("error") != (name == "error") {
			t.Error(name, p.status, to, got)
		}
		if csp := p.header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self' https://app.example") || !strings.Contains(csp, "script-src 'self'") {
			t.Error(name, csp)
		}
		if p.header.Get("Cache-Control") != "no-store" || strings.Contains(p.body, "<script>") {
			t.Error(name, p.header, p.body)
		}
		if code := got.Get("code"); code != "" {
			if a := w.redeem("web", code); a.status != http.StatusOK {
				t.Error(name, a.body)
			}
		}
	}
}

func TestAttack_A14_FormPostLeadsToHTTPOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	v := request("native", "redirect_uri", "com.example.tide:/cb", "response_mode", "form_post")
	b.refusal("a scheme that no form can be posted to", v, "invalid_request")
	for _, uri := range []string{"javascript:alert(1)", "data:text/html,x", "vbscript:x", "javascript://app.example/%0aalert(1)"} {
		v.Set("redirect_uri", uri)
		b.stays(uri, v)
		_, err := w.admin().Apply(t.Context(), []byte(`clients: [{client_id: bad, client_name: Bad Idea, application_type: native, redirect_uris: ["`+uri+`"], token_endpoint_auth_method: none, scope: openid}]`), "operator:test")
		if err == nil {
			t.Errorf("%s can be registered", uri)
		}
	}
	p := b.authorize(request("native", "response_mode", "form_post", "prompt", "none"))
	if to, _ := p.posted(); to != redirects["native"] || !strings.HasSuffix(p.header.Get("Content-Security-Policy"), "form-action 'self' http://127.0.0.1:49152") {
		t.Error(to, p.header.Get("Content-Security-Policy"))
	}
}

func TestResponseMode_IsOneThatTheClientRegistered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.refusal("form_post, not registered", request("post", "response_mode", "form_post"), "invalid_request")
	for _, mode := range []string{"fragment", "jwt", "query.jwt", "fragment.jwt", "form_post.jwt", "web_message", "Query", "query query"} {
		b.refusal(mode, request("web", "response_mode", mode), "invalid_request")
	}
	b.at("query", request("web", "response_mode", "query"), "/signin")
	if p := b.authorize(request("web", "response_mode", "fragment")); strings.Contains(p.out, "#") {
		t.Error("an answer in the fragment:", p.out)
	}
}

func TestResponseType_IsCodeAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	for _, kind := range []string{"token", "id_token", "id_token token", "code token", "code id_token", "code id_token token", "none", "Code", "code code", "x"} {
		b.refusal(kind, request("web", "response_type", kind), "unsupported_response_type")
		if p := b.authorize(request("web", "response_type", kind)); strings.ContainsAny(p.out, "#") {
			t.Errorf("%s is answered in the fragment: %s", kind, p.out)
		}
	}
	b.refusal("none given", request("web", "response_type", ""), "invalid_request")
}

func TestAuthorize_DuplicateParametersAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	for _, name := range authorizeNames {
		v := request("web", "prompt", "none", "max_age", "60", "acr_values", session.AAL1, "login_hint", ana, "ui_locales", "en", "response_mode", "query", "display", "page", "resource", casesAPI)
		v[name] = append(v[name], "again")
		if len(v[name]) == 1 {
			v[name] = append(v[name], "again")
		}
		state, code := "st-web", "invalid_request"
		switch name {
		case "client_id", "redirect_uri":
			b.stays(name, v)
			continue
		case "state":
			state = ""
		case "resource":
			code = "invalid_target"
		}
		w.isRefusal(name+" twice", b.authorize(v).answer(appURI), state, code)
	}
}

var authorizeNames = []string{
	"response_type", "client_id", "redirect_uri", "scope", "state", "response_mode", "nonce", "display", "prompt", "max_age", "ui_locales", "id_token_hint", "login_hint", "acr_values",
	"code_challenge", "code_challenge_method", "resource", "request", "request_uri", "registration",
}

func TestAuthorize_RequestObjectsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	object, err := signJWS(clientKeys()["ES256"], "ES256", "ES256", "oauth-authz-req+jwt", object{"iss": "web", "redirect_uri": "https://evil.example/cb"})
	w.must(err)
	for _, o := range []string{object, "eyJhbGciOiJub25lIn0.e30."} {
		b.refusal("request", request("web", "request", o), "request_not_supported")
	}
	for _, uri := range []string{"https://evil.example/r", "urn:ietf:params:oauth:request_uri:x", "http://127.0.0.1:1/"} {
		b.refusal("request_uri", request("web", "request_uri", uri), "request_uri_not_supported")
	}
	b.refusal("registration", request("web", "registration", "{}"), "registration_not_supported")
}

func TestAuthorize_StateComesBackAsItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	for _, state := range []string{"", "x", "a b+c&d=e%20#?", `<">'`, "ÄÖ 日本", strings.Repeat("s", 2048), "-"} {
		v := request("web", "state", state)
		p := b.authorize(v)
		a := p.answer(appURI)
		if a.Get("code") == "" || a.Get("state") != state || a.Has("state") != (state != "") {
			t.Errorf("%.20q came back as %.20q, %v", state, a.Get("state"), a.Get("error"))
		}
	}
	for name, bad := range map[string]string{"too long": strings.Repeat("s", 2049), "no text": "\xff\xfe"} {
		w.isRefusal(name, b.authorize(request("web", "state", bad)).answer(appURI), "", "invalid_request")
	}
}

func TestAuthorize_TakesAPostedForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	post := func(path, kind string, body string) *page {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.issuer+path, strings.NewReader(body))
		w.must(err)
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		p := b.read(req)
		p.out = p.header.Get("Location")
		return p
	}
	const form = "application/x-www-form-urlencoded"
	if a := post("/authorize", form, request("web").Encode()).answer(appURI); a.Get("code") == "" {
		t.Error(a)
	}
	for name, p := range map[string]*page{
		"JSON": post("/authorize", "application/json", `{"client_id":"web"}`), "multipart": post("/authorize", "multipart/form-data; boundary=x", "--x--"),
		"in the query of a POST": post("/authorize?"+request("web").Encode(), form, ""), "no text": post("/authorize", form, "client_id=%zz"),
	} {
		if p.status != http.StatusBadRequest || p.out != "" {
			t.Errorf("%s: %d %q", name, p.status, p.out)
		}
	}
	stranger := w.browser()
	p := stranger.post("/authorize", request("web"))
	if p.url.Path != "/signin" {
		t.Error("a browser without cookies is led to", p.url.Path)
	}
	if p := stranger.once(http.MethodPut, "/authorize", url.Values{}); p.status != http.StatusMethodNotAllowed {
		t.Error("PUT", p.status)
	}
	if p := b.get("/authorize?client_id=%zz"); p.status != http.StatusBadRequest {
		t.Error("a query that is none", p.status)
	}
}

func TestAuthorize_NonceIsOptionalAndComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	for _, nonce := range []string{"", "n", strings.Repeat("n", 2048), `"\n`} {
		c := b.silent(nonce, request("web", "nonce", nonce))
		if got, _ := c["nonce"].(string); got != nonce {
			t.Errorf("%q came back as %q", nonce, got)
		}
	}
}
