package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/session"
)

const discoveryPath = "/.well-known/openid-configuration"

func (w *world) metadata() answer { w.Helper(); return w.do(http.MethodGet, discoveryPath, nil) }

// listed returns a list of the metadata.
func (a answer) listed(name string) (out []string) {
	list, _ := a.object[name].([]any)
	for _, v := range list {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}

func TestDiscovery_IsOneDocumentForEverybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.metadata(), w.do(http.MethodGet, "/.well-known/oauth-authorization-server", nil)
	if a.status != http.StatusOK || a.body != b.body || a.str("issuer") != w.issuer || a.header.Get("Content-Type") != "application/json" {
		t.Fatal(a.status, a.body, b.body)
	}
	if a.header.Get("Cache-Control") != "public, max-age=3600" || a.header.Get("Access-Control-Allow-Origin") != "*" || len(a.header.Values("Set-Cookie")) > 0 {
		t.Error(a.header)
	}
	if again := w.do(http.MethodGet, discoveryPath, nil, "If-None-Match", a.header.Get("ETag")); again.status != http.StatusNotModified || again.body != "" {
		t.Error("a known one is sent again:", again.status)
	}
	for _, h := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Original-URL", "X-Forwarded-Prefix", "Origin"} {
		if got := w.do(http.MethodGet, discoveryPath, nil, h, "https://evil.example"); got.body != a.body {
			t.Error(h, "changes it:", got.body)
		}
	}
	if h := w.do(http.MethodHead, discoveryPath, nil); h.status != http.StatusOK || h.body != "" || h.header.Get("ETag") != a.header.Get("ETag") {
		t.Error("HEAD", h.status, h.header)
	}
	if p := w.do(http.MethodPost, discoveryPath, url.Values{}); p.status != http.StatusMethodNotAllowed {
		t.Error("POST", p.status)
	}
}

func TestDiscovery_EveryEndpointIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.metadata()
	for name := range a.object {
		if !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
			continue
		}
		path, ok := strings.CutPrefix(a.str(name), w.issuer)
		if !ok {
			t.Errorf("%s is elsewhere: %s", name, a.str(name))
		}
		if got := w.do(http.MethodOptions, path, nil); got.status != http.StatusNoContent || got.header.Get("Allow") == "" {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	for _, name := range []string{"registration_endpoint", "pushed_authorization_request_endpoint", "device_authorization_endpoint", "check_session_iframe", "backchannel_authentication_endpoint"} {
		if a.object[name] != nil {
			t.Errorf("%s is not built", name)
		}
	}
	for _, path := range []string{"/par", "/device", "/device_authorization", "/register", "/bc-authorize", "/check_session"} {
		if got := w.do(http.MethodGet, path, nil); got.status != http.StatusNotFound {
			t.Errorf("%s answers %d and is not advertised", path, got.status)
		}
	}
}

func TestDiscovery_WhatItSaysOfRequestsIsTrue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.metadata()
	b := w.withConsent(ana)
	try := func(param, value string) string {
		p := b.authorize(request("web", param, value))
		if p.out == "" && p.form("iss", "") == nil {
			return ""
		}
		if p.out == "" {
			_, v := p.posted()
			return v.Get("error")
		}
		return p.answer(appURI).Get("error")
	}
	for _, c := range []struct {
		name, param string
		others      []string
	}{
		{"response_types_supported", "response_type", []string{"token", "id_token", "code id_token", "none"}},
		{"response_modes_supported", "response_mode", []string{"fragment", "jwt", "query.jwt", "form_post.jwt"}},
		{"prompt_values_supported", "prompt", []string{"create", "x"}},
		{"code_challenge_methods_supported", "code_challenge_method", []string{"plain", "S512"}},
		{"scopes_supported", "scope", []string{"address", "phone"}},
	} {
		values := a.listed(c.name)
		if len(values) == 0 {
			t.Errorf("%s is empty", c.name)
		}
		for _, v := range values {
			if c.param == "scope" && v == "offline_access" {
				v = "openid offline_access"
			}
			if e := try(c.param, v); e != "" && e != "consent_required" {
				t.Errorf("%s is advertised as %s and answered with %s", v, c.name, e)
			}
		}
		for _, v := range c.others {
			if slices.Contains(values, v) || try(c.param, v) == "" {
				t.Errorf("%s: %s is not advertised and works, or the other way round", c.name, v)
			}
		}
	}
	for flag, param := range map[string]string{"request_parameter_supported": "request", "request_uri_parameter_supported": "request_uri"} {
		if a.object[flag] != false || try(param, "https://x.example") == "" {
			t.Errorf("%s is %v", flag, a.object[flag])
		}
	}
	if got := a.listed("acr_values_supported"); !slices.Equal(got, []string{session.AAL1, session.AAL2}) {
		t.Error(got)
	}
	if a.object["authorization_response_iss_parameter_supported"] != true || a.object["claims_parameter_supported"] != false {
		t.Error("iss, claims:", a.body)
	}
}

func TestDiscovery_WhatItSaysOfClientsIsTrue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.metadata()
	base := client.Client{Name: "Probe", RedirectURIs: []string{"https://probe.example/cb"}, GrantTypes: []string{client.GrantCode, client.GrantRefresh, client.GrantClientCredentials}, Scope: "openid cases.read", APIs: []string{"cases"}}
	n := 0
	takes := func(change func(*client.Client)) bool {
		c := base
		c.ID = fmt.Sprintf("probe-%d", n)
		c.Name = "Probe " + strings.Repeat("x", n+1)
		n++
		change(&c)
		_, err := w.admin().CreateClient(t.Context(), c, "", "operator:test")
		return err == nil
	}
	keys := client.KeySet(text(t, clientKeys().public()))
	set := map[string]func(v string) func(*client.Client){
		"id_token_signing_alg_values_supported": func(v string) func(*client.Client) { return func(c *client.Client) { c.IDTokenAlg = v } },
		"subject_types_supported":               func(v string) func(*client.Client) { return func(c *client.Client) { c.SubjectType = v } },
		"grant_types_supported": func(v string) func(*client.Client) {
			return func(c *client.Client) {
				if c.GrantTypes = append(c.GrantTypes, v); slices.Contains(base.GrantTypes, v) {
					c.GrantTypes = base.GrantTypes
				}
			}
		},
		"token_endpoint_auth_signing_alg_values_supported": func(v string) func(*client.Client) {
			return func(c *client.Client) {
				c.TokenEndpointAuth, c.TokenEndpointAuthAlg, c.JWKS = client.AuthPrivateKey, v, keys
			}
		},
		"token_endpoint_auth_methods_supported": func(v string) func(*client.Client) {
			return func(c *client.Client) {
				if c.TokenEndpointAuth = v; v == client.AuthPrivateKey {
					c.JWKS = keys
				}
				if v == client.AuthNone {
					c.GrantTypes = []string{client.GrantCode}
				}
			}
		},
	}
	all := map[string][]string{
		"id_token_signing_alg_values_supported": {"RS256", "ES256", "PS256", "EdDSA", "none", "HS256", "RS512", "ES384"}, "subject_types_supported": {"public", "pairwise", "x"},
		"grant_types_supported":                            {"authorization_code", "refresh_token", "client_credentials", "implicit", "password", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
		"token_endpoint_auth_signing_alg_values_supported": {"RS256", "PS256", "ES256", "EdDSA", "HS256", "none", "ES512"},
		"token_endpoint_auth_methods_supported":            {"client_secret_basic", "client_secret_post", "private_key_jwt", "none", "client_secret_jwt", "tls_client_auth", "self_signed_tls_client_auth"},
	}
	for name, values := range all {
		said := a.listed(name)
		for _, v := range said {
			if !slices.Contains(values, v) {
				t.Errorf("%s: %s is not known to this test", name, v)
			}
		}
		for _, v := range values {
			if got := takes(set[name](v)); got != slices.Contains(said, v) {
				t.Errorf("%s: %s can be registered: %v, advertised: %v", name, v, got, !got)
			}
		}
	}
}

func TestDiscovery_ClaimsAreThoseThatAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	said := w.metadata().listed("claims_supported")
	told := map[string]bool{}
	a := w.tokens(ana, "web", "scope", "openid profile email")
	_, id := claims(a.str("id_token"))
	for _, o := range []object{id, w.userinfo(a.str("access_token")).object} {
		for k := range o {
			if told[k] = true; !slices.Contains(said, k) {
				t.Errorf("%s is told and not advertised", k)
			}
		}
	}
	for _, k := range said {
		if !told[k] && k != "preferred_username" { // Ana has no user name
			t.Errorf("%s is advertised and not told", k)
		}
	}
}

func TestJWKS_ShowsNextAndRetiringKeysAndNoPrivatePart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.do(http.MethodGet, "/jwks", nil)
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/jwk-set+json" || a.header.Get("Cache-Control") != fmt.Sprintf("public, max-age=%d", int(keyring.CacheLifetime/time.Second)) || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error(a.status, a.header)
	}
	for _, private := range []string{`"d"`, `"p"`, `"q"`, `"dp"`, `"k"`} {
		if strings.Contains(a.body, private) {
			t.Error("a private part is published:", private)
		}
	}
	kids := map[string]bool{}
	algs := map[string]int{}
	for _, k := range w.published().Keys {
		algs[k.Algorithm]++
		if kids[k.KeyID] || k.Use != "sig" || !k.IsPublic() || k.KeyID == "" {
			t.Error(k)
		}
		kids[k.KeyID] = true
	}
	for alg, n := range map[string]int{"ES256": 2, "RS256": 2, "EdDSA": 2} {
		if algs[alg] != n {
			t.Errorf("%d keys of %s, want %d: one that signs and the next", algs[alg], alg, n)
		}
	}
	if again := w.do(http.MethodGet, "/jwks", nil, "If-None-Match", `"x", W/`+a.header.Get("ETag")); again.status != http.StatusNotModified {
		t.Error(again.status)
	}
	w.clock.Advance(keyring.PublishedFor)
	w.must(w.p.ring.Rotate(t.Context(), "ES256", false))
	after := w.do(http.MethodGet, "/jwks", nil)
	if after.header.Get("ETag") == a.header.Get("ETag") {
		t.Error("another set has the same tag")
	}
	n := 0
	for _, k := range w.published().Keys {
		if k.Algorithm == "ES256" {
			n++
		}
		delete(kids, k.KeyID)
	}
	if n != 3 || len(kids) != 0 {
		t.Errorf("%d keys of ES256: retiring, active and next are three; %d were taken away", n, len(kids))
	}
}

func TestKeys_RotateWhileTokensLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	algs := []string{"ES256", "RS256"}
	for _, alg := range algs {
		w.must(w.p.ring.Rotate(t.Context(), alg, false))
	}
	w.clock.Advance(keyring.PublishedFor - time.Second)
	cached := w.published()
	for _, alg := range algs {
		if err := w.p.ring.Rotate(t.Context(), alg, false); err == nil {
			t.Fatal("a key signs before everybody can know it")
		}
	}
	w.clock.Advance(time.Second)
	old := w.tokens(ana, "web", "scope", "openid offline_access")
	for _, alg := range algs {
		w.must(w.p.ring.Rotate(t.Context(), alg, false))
	}
	fresh := w.refresh("web", old.str("refresh_token"))
	for name, kind := range map[string]string{"an access token": "access_token", "an ID token": "id_token"} {
		before, _ := claims(old.str(kind))
		after, _ := claims(fresh.str(kind))
		if before["kid"] == after["kid"] {
			t.Errorf("%s is signed by the old key", name)
		}
		for when, token := range map[string]string{"before": old.str(kind), "after": fresh.str(kind)} {
			if !verifies(cached, token) || !verifies(w.published(), token) {
				t.Errorf("%s signed %s the rotation does not verify by the set of before or after", name, when)
			}
		}
	}
	for _, a := range []answer{old, fresh} {
		if u := w.userinfo(a.str("access_token")); u.status != http.StatusOK || !w.active("web", a.str("access_token")) {
			t.Error("a living token died of a rotation:", u.body)
		}
	}
	w.must(w.p.ring.Rotate(t.Context(), "ES256", true))
	for _, a := range []answer{old, fresh} {
		w.wants("in an emergency every token dies", w.userinfo(a.str("access_token")), http.StatusUnauthorized, "invalid_token")
		if w.active("web", a.str("access_token")) || verifies(w.published(), a.str("access_token")) {
			t.Error("a token of a key that was given up stands")
		}
	}
	last := w.refresh("web", fresh.str("refresh_token"))
	if u := w.userinfo(last.str("access_token")); u.status != http.StatusOK {
		t.Error("the family did not outlive the key:", last.body, u.body)
	}
}

// verifies checks a signature as somebody who holds a published set.
func verifies(set jose.JSONWebKeySet, token string) bool {
	j, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{"ES256", "RS256", "PS256", "EdDSA"})
	if err != nil {
		return false
	}
	for _, k := range set.Key(j.Signatures[0].Protected.KeyID) {
		if _, err := j.Verify(k.Key); err == nil && k.Algorithm == j.Signatures[0].Protected.Algorithm {
			return true
		}
	}
	return false
}

func TestKeys_ACommandRotatesBesideTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.published()
	w.clock.Advance(keyring.PublishedFor)
	other := keyring.New(keyring.Deps{Store: w.p.store, Commit: w.p.store, Seal: w.p.sealer, Clock: w.clock, Actor: "operator:test"})
	w.must(other.Ensure(t.Context()))
	w.must(other.Rotate(t.Context(), "RS256", false))
	w.later()
	head, _ := claims(w.tokens(ana, "web").str("id_token"))
	kid, _ := head["kid"].(string)
	if len(before.Key(kid)) != 1 {
		t.Fatal("signed by a key that was not published before", kid)
	}
	if len(w.published().Keys) != len(before.Keys)+1 {
		t.Errorf("%d keys, then %d", len(before.Keys), len(w.published().Keys))
	}
}
