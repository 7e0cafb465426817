package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/clock"
)

var t0 = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// FuzzAuthorizeParameters: what is kept is known, single, short and text; whatever else was known is named; and reading it
// once more, as when a posted request is turned into a query, changes nothing.
func FuzzAuthorizeParameters(f *testing.F) {
	for _, q := range []string{
		"", "response_type=code&client_id=web&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&scope=openid&state=x&code_challenge=y&code_challenge_method=S256", "state=a&state=b", "resource=a&resource=b", "resource=&resource=",
		"redirect_uri=", "client_id=%ff", "prompt=none+login&max_age=0", "unknown=1&unknown=2", "scope=%00", "CLIENT_ID=x&Client_id=y",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, q string) {
		all, err := url.ParseQuery(q)
		if err != nil {
			return
		}
		kept, wrong := pickAuthorize(all)
		for name, v := range kept {
			limit := maxParam
			if name == "id_token_hint" {
				limit = maxHint
			}
			if !has(authorizeParams, name) || len(v) == 0 || (len(v) > 1 && name != "resource") || !slices.Equal(v, all[name]) {
				t.Fatalf("%s=%q was kept of %q", name, v, all[name])
			}
			for _, one := range v {
				if len(one) > limit || !utf8.ValidString(one) {
					t.Fatalf("%s keeps %d bytes", name, len(one))
				}
			}
		}
		for _, name := range authorizeParams {
			if v := all[name]; len(v) > 1 && name != "resource" && (wrong == "" || kept.Has(name)) {
				t.Fatalf("%s twice is %q, kept %q", name, wrong, kept[name])
			}
		}
		if wrong != "" && (!has(authorizeParams, wrong) || kept.Has(wrong)) {
			t.Fatalf("%q is wrong", wrong)
		}
		encoded, err := url.ParseQuery(kept.Encode())
		if err != nil {
			t.Fatal(err)
		}
		again, wrong := pickAuthorize(encoded)
		if wrong != "" || !maps.EqualFunc(again, kept, slices.Equal) {
			t.Fatalf("%v became %v, %q", kept, again, wrong)
		}
	})
}

// FuzzTokenForm: a body is a set of single texts or is refused as invalid_request, and the query of the request is not in it.
func FuzzTokenForm(f *testing.F) {
	f.Add("grant_type=authorization_code&code=x", "application/x-www-form-urlencoded")
	f.Add("grant_type=a&grant_type=b", "application/x-www-form-urlencoded; charset=utf-8")
	f.Add("a=%ff", "application/x-www-form-urlencoded")
	f.Add("%zz", "application/x-www-form-urlencoded")
	f.Add("{}", "application/json")
	f.Add("a;b=c", "multipart/form-data; boundary=x")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, body, kind string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/token?grant_type=query&only=query", strings.NewReader(body))
		r.Header["Content-Type"] = []string{kind}
		form, err := readForm(r)
		if err != nil {
			if pe, ok := err.(*protoError); !ok || pe.code != "invalid_request" || plain(pe.why) != pe.why { //nolint:errorlint // nothing else may come out
				t.Fatalf("%q as %q: %v", body, kind, err)
			}
			return
		}
		sent, err := url.ParseQuery(body)
		maps.DeleteFunc(sent, func(name string, _ []string) bool { return !slices.Contains(formParams, name) }) // what means nothing is not kept
		if err != nil || !maps.EqualFunc(sent, form, slices.Equal) {
			t.Fatalf("%q was read as %v", body, form)
		}
		for k, v := range form {
			if len(v) != 1 || !utf8.ValidString(v[0]) || !utf8.ValidString(k) {
				t.Fatalf("%q=%q", k, v)
			}
		}
	})
}

// FuzzBasic: what is taken can be written in one way that is taken alike, and is text within the limits.
func FuzzBasic(f *testing.F) {
	b64 := base64.StdEncoding.EncodeToString
	for _, s := range []string{"", "Basic", "Basic ", "basic " + b64([]byte("a:b")), "Basic " + b64([]byte("a%20b:c+d")), "Basic " + b64([]byte(":")), "Basic YTpi\n", "Basic " + b64([]byte("a")), "Bearer x", "Basic " + b64([]byte("a:\xff"))} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		id, secret, ok := parseBasic(header)
		if !ok {
			return
		}
		if id == "" || len(id) > maxCredential || len(secret) > maxCredential || !utf8.ValidString(id) || !utf8.ValidString(secret) || strings.ContainsAny(header, "\r\n") {
			t.Fatalf("%q gave %q and %q", header, id, secret)
		}
		again := "Basic " + b64([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
		if id2, secret2, ok := parseBasic(again); !ok || id2 != id || secret2 != secret {
			t.Fatalf("%q gave %q and %q, written again %q and %q", header, id, secret, id2, secret2)
		}
	})
}

// FuzzAssertion: whatever is read is strictly a compact JWS whose claims have their types, and nothing but what the client's
// own key signed is ever taken for it.
func FuzzAssertion(f *testing.F) {
	key := signingKey()
	entry := key.entry("app")
	good := key.sign(f, `{"iss":"app","sub":"app","aud":"https://id.example","jti":"1","exp":`+unix(t0.Add(time.Minute))+`}`)
	for _, s := range []string{
		good, good + "=", good[:len(good)-1], strings.Replace(good, ".", "..", 1), "e30.e30.e30", "..", "", key.sign(f, `{"iss":"app","iss":"other","sub":"app","jti":"1","exp":1}`),
		key.sign(f, `{"iss":1,"sub":[],"aud":{},"jti":null,"exp":"x"}`), key.sign(f, `{"iss":"app","sub":"app","aud":["https://id.example","x"],"jti":"1","exp":1e300}`), key.sign(f, `[]`), key.sign(f, `{} {}`),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		a, err := readAssertion(raw)
		if err != nil {
			return
		}
		if len(raw) > maxAssertion || strings.Count(raw, ".") != 2 || !has(client.AssertionAlgorithms, a.alg) || len(a.kid) > maxKeyID {
			t.Fatalf("read %q", raw)
		}
		for _, s := range []string{a.issuer, a.subject, a.jti} {
			if s == "" || len(s) > maxJTI {
				t.Fatalf("a claim is %q", s)
			}
		}
		holds := a.good("app", []string{"https://id.example"}, t0)
		if holds && (a.issuer != "app" || a.subject != "app" || len(a.audience) != 1 || a.until().Before(t0) || a.until().After(t0.Add(assertionLife+time.Minute))) {
			t.Fatalf("good: %+v", a)
		}
		if holds && a.signedBy(entry) && raw != good {
			t.Fatalf("%q passes for %q", raw, good)
		}
	})
}

// FuzzStrictObject: what is taken is exactly what encoding/json reads, and has no name twice.
func FuzzStrictObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"b":[1,{"c":null}]}`, `{"a":1,"a":2}`, `{"a":1} x`, `{"\u0061":1,"a":2}`, `[]`, `{"a"`, `{"a":{"b":1,"b":2}}`, ``, `{"a":1e999}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := strictObject([]byte(s))
		var want map[string]any
		lax := json.Unmarshal([]byte(s), &want)
		if err == nil && (lax != nil || !reflect.DeepEqual(got, want)) {
			t.Fatalf("%q was read as %v, json says %v, %v", s, got, want, lax)
		}
	})
}

// registry is a source of two APIs.
type registry []api.API

func (r registry) APIs(context.Context) ([]api.API, error)  { return r, nil }
func (registry) APIsVersion(context.Context) (int64, error) { return 1, nil }

// FuzzTarget: a token request that is allowed is for one audience, which the client has, which owns every scope that is no
// protocol scope, and which is the resource if one was named; and what the token says is part of what was asked.
func FuzzTarget(f *testing.F) {
	apis := registry{
		{ID: "cases", Audience: "https://cases.example", Scopes: []api.Scope{{Name: "cases.read"}, {Name: "cases.write"}}},
		{ID: "letters", Audience: "https://letters.example", Scopes: []api.Scope{{Name: "letters.read"}}},
		{ID: "secret", Audience: "https://secret.example", Scopes: []api.Scope{{Name: "secret.read"}}},
	}
	p := &Provider{Deps: Deps{APIs: api.NewCache(apis, clock.NewFake(t0))}, issuer: "https://id.example"}
	c := &client.Entry{Client: client.Client{ID: "app", APIs: []string{"cases", "letters"}}}
	for _, s := range [][2]string{
		{"openid", ""}, {"cases.read", ""}, {"cases.read letters.read", ""}, {"cases.read", "https://letters.example"}, {"openid", "https://secret.example"}, {"secret.read", ""}, {"cases.*", ""}, {"openid", "https://id.example"},
		{"openid  openid", "https://cases.example/"}, {"\t", "HTTPS://CASES.EXAMPLE"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, scope, resource string) {
		scopes := fields(scope)
		for i, s := range scopes {
			if s == "" || strings.Contains(s, " ") || slices.Contains(scopes[:i], s) {
				t.Fatalf("%q splits into %q", scope, scopes)
			}
		}
		if once := sorted(scopes); sorted(fields(once)) != once {
			t.Fatalf("%q has two sorted forms", scope)
		}
		to, err := p.chooseTarget(t.Context(), c, scopes, resource)
		if err != nil {
			pe, ok := err.(*protoError) //nolint:errorlint // nothing else may come out
			if !ok || (pe.code != "invalid_target" && pe.code != "invalid_scope") || plain(pe.why) != pe.why {
				t.Fatal(err)
			}
			return
		}
		if to.api != nil && !c.HasAPI(to.api.ID) || resource != "" && p.audience(to) != resource {
			t.Fatalf("%q at %q is for %s", scope, resource, p.audience(to))
		}
		for _, s := range scopes {
			if !has(client.ProtocolScopes, s) && !to.owns(s) {
				t.Fatalf("%q is not of %s", s, p.audience(to))
			}
		}
		for s := range strings.FieldsSeq(to.scope(scopes)) {
			if !has(scopes, s) || s == "offline_access" || to.api != nil && has(client.ProtocolScopes, s) {
				t.Fatalf("%q stands in a token for %s", s, p.audience(to))
			}
		}
	})
}

// FuzzAnswer: an answer leaves the registered URI as it is, and the client reads what was meant for it.
func FuzzAnswer(f *testing.F) {
	f.Add("state", "description")
	f.Add("a&b=c#d\r\nSet-Cookie: x", "`\"\\\x00ü")
	f.Fuzz(func(t *testing.T, state, why string) {
		if said := plain(why); plain(said) != said || strings.ContainsAny(said, "\"\\\r\n`") || len(said) > len(why) {
			t.Fatalf("%q is said as %q", why, said)
		}
		for _, uri := range []string{"https://app.example/cb", "https://app.example/cb?", "https://app.example/cb?a=1", "https://app.example/cb?a=1&", "com.example.app:/cb"} {
			to := withQuery(uri, url.Values{"error_description": {plain(why)}, "state": {state}})
			u, err := url.Parse(to)
			if err != nil || !strings.HasPrefix(to, uri) || u.Fragment != "" || u.Query().Get("state") != state || u.Query().Get("error_description") != plain(why) || strings.ContainsAny(to, "\r\n ") {
				t.Fatalf("%s answered %q and %q at %q", uri, state, why, to)
			}
		}
	})
}
