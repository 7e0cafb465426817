package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func basicOf(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

// machineForm is a request that only authentication can fail.
func machineForm(pairs ...string) url.Values {
	v := url.Values{"grant_type": {"client_credentials"}, "scope": {"cases.read"}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// proven asks for a token with a client assertion.
func (w *world) proven(assertion string) answer {
	w.Helper()
	return w.do(http.MethodPost, "/token", machineForm("client_assertion_type", assertionKind, "client_assertion", assertion))
}

func TestClientAuth_EachClientHasOneMethod(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := func(id string) string { return w.secrets[id] }
	methods := map[string]func(id string) (url.Values, []string){
		"web": func(id string) (url.Values, []string) {
			return url.Values{}, []string{"Authorization", basicOf(id, secret(id))}
		},
		"post": func(id string) (url.Values, []string) {
			return url.Values{"client_id": {id}, "client_secret": {secret(id)}}, nil
		},
		"native": func(id string) (url.Values, []string) { return url.Values{"client_id": {id}}, nil },
		"key": func(id string) (url.Values, []string) {
			return url.Values{"client_assertion_type": {assertionKind}, "client_assertion": {w.assertion("ES256", object{"iss": id, "sub": id})}}, nil
		},
	}
	for _, client := range []string{"web", "post", "native", "key"} {
		for method, credentials := range methods {
			f, header := credentials(client)
			f.Set("grant_type", "refresh_token")
			a := w.do(http.MethodPost, "/token", f, header...)
			if want := method == client; want != (a.str("error") == "invalid_request") || (!want && a.str("error") != "invalid_client") {
				t.Errorf("%s by the method of %s: %d %s", client, method, a.status, a.body)
			}
		}
	}
}

func TestClientAuth_FailureSaysHowAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	unknown := w.do(http.MethodPost, "/token", machineForm(), "Authorization", basicOf("nobody", "secret"))
	wrong := w.do(http.MethodPost, "/token", machineForm(), "Authorization", basicOf("machine", "secret"))
	for _, a := range []answer{unknown, wrong} {
		if a.status != http.StatusUnauthorized || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), `Basic realm="`+w.issuer) || a.header.Get("Cache-Control") != "no-store" {
			t.Error(a.status, a.header, a.body)
		}
	}
	if unknown.body != wrong.body {
		t.Error("an unknown client is told from a wrong secret:", unknown.body, wrong.body)
	}
	for _, path := range []string{"/introspect", "/revoke"} {
		a := w.do(http.MethodPost, path, url.Values{"token": {"x"}}, "Authorization", basicOf("machine", "secret"))
		if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" || a.str("error") != "invalid_client" {
			t.Error(path, a.status, a.body)
		}
	}
}

func TestAttack_C02_AssertionsAreForUsSoonAndShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.clock.Now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	good := map[string]object{
		"issuer": {}, "token endpoint": {"aud": w.issuer + "/token"}, "one in a list": {"aud": []string{w.issuer}}, "an hour": {"exp": at(time.Hour)},
		"no iat": {"iat": nil}, "made 8 s ahead": {"iat": at(8 * time.Second), "nbf": at(8 * time.Second)}, "ended 8 s ago": {"exp": at(-8 * time.Second)}, "a long jti": {"jti": strings.Repeat("j", 256)},
	}
	for name, over := range good {
		if a := w.proven(w.assertion("ES256", over)); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for name, over := range map[string]object{
		"two audiences": {"aud": []string{"https://evil.example", w.issuer + "/token"}}, "twice us": {"aud": []string{w.issuer, w.issuer + "/token"}}, "another": {"aud": "https://evil.example"},
		"a prefix": {"aud": w.issuer + "/"}, "other case": {"aud": strings.ToUpper(w.issuer)}, "no audience": {"aud": nil}, "empty": {"aud": []string{}}, "an object": {"aud": object{"a": 1}}, "a number": {"aud": 1},
		"50 years": {"exp": at(50 * 365 * 24 * time.Hour)}, "over an hour": {"exp": at(time.Hour + 12*time.Second)}, "no exp": {"exp": nil}, "exp as text": {"exp": "9999999999"}, "exp huge": {"exp": 1e300},
		"ended": {"exp": at(-11 * time.Second)}, "of the future": {"iat": at(70 * time.Second)}, "not yet": {"nbf": at(70 * time.Second)},
		"no jti": {"jti": nil}, "empty jti": {"jti": ""}, "257 bytes": {"jti": strings.Repeat("j", 257)}, "a huge jti": {"jti": strings.Repeat("j", 200_000)}, "a number as jti": {"jti": 7},
		"another issuer": {"iss": "web"}, "another subject": {"sub": "web"}, "both others": {"iss": "web", "sub": "web"}, "nobody": {"iss": "nobody", "sub": "nobody"},
	} {
		a := w.proven(w.assertion("ES256", over))
		if a.str("error") != "invalid_client" && a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestClientAssertion_WorksOnceEvenInParallel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.assertion("ES256", object{"exp": w.clock.Now().Add(time.Hour).Unix()})
	var won atomic.Int64
	together(32, func(int) {
		switch r := w.proven(a); {
		case r.status == http.StatusOK:
			won.Add(1)
		case r.str("error") != "invalid_client":
			t.Error(r.status, r.body)
		}
	})
	if won.Load() != 1 {
		t.Errorf("one assertion worked %d times", won.Load())
	}
}

func TestAttack_C17_ReplayIsRefusedUntilTheAssertionIsDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.assertion("ES256", object{"exp": w.clock.Now().Add(time.Minute).Unix(), "iat": w.clock.Now().Add(8 * time.Second).Unix()})
	if r := w.proven(a); r.status != http.StatusOK {
		t.Fatal(r.body)
	}
	for range 20 {
		w.clock.Advance(4 * time.Second)
		if _, err := w.p.store.Sweep(t.Context(), w.clock.Now()); err != nil {
			t.Fatal(err)
		}
		w.wants("a replay", w.proven(a), http.StatusUnauthorized, "invalid_client")
	}
}

func TestClientAssertion_IsUsedUpByARefusedRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.assertion("ES256", nil)
	f := url.Values{"grant_type": {"client_credentials"}, "scope": {"cases.write"}, "client_assertion_type": {assertionKind}, "client_assertion": {a}}
	w.wants("a scope it has not", w.do(http.MethodPost, "/token", f), http.StatusBadRequest, "invalid_scope")
	w.wants("the same again", w.proven(a), http.StatusUnauthorized, "invalid_client")
}

func TestClientAssertion_Algorithms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, alg := range []string{"ES256", "PS256", "EdDSA"} {
		if a := w.proven(w.assertion(alg, nil)); a.status != http.StatusOK {
			t.Error(alg, a.status, a.body)
		}
	}
}

func TestAttack_C05_ForgedAlgorithmsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := object{"iss": "key", "sub": "key", "aud": w.issuer, "exp": w.clock.Now().Add(time.Minute).Unix()}
	forged := forgeries(t, clientKeys(), "JWT", body)
	for name, s := range forged {
		w.wants("assertion "+name, w.proven(s), http.StatusUnauthorized, "invalid_client")
	}
	a := w.tokens(ana, "web", "scope", "openid offline_access")
	for kind, token := range map[string]string{"at+jwt": a.str("access_token"), "JWT": a.str("id_token")} {
		_, c := claims(token)
		for name, s := range forgeries(t, w.published(), kind, c) {
			w.wants("access token "+name, w.userinfo(s), http.StatusUnauthorized, "invalid_token")
			if w.active("web", s) {
				t.Error("introspection of", kind, name)
			}
			if got := w.browser().authorize(request("web", "id_token_hint", s)).answer(appURI); got.Get("error") != "invalid_request" {
				t.Errorf("id_token_hint %s: %v", name, got)
			}
		}
	}
}

// forgeries are tokens that only a verifier takes that believes their header.
func forgeries(t *testing.T, keys any, typ string, claims object) map[string]string {
	t.Helper()
	encode := func(o object) string { return base64.RawURLEncoding.EncodeToString([]byte(text(t, o))) }
	out := map[string]string{}
	for kid, pub := range publicParts(t, keys) {
		for _, alg := range []string{"none", "None", "nOnE", "NONE", ""} {
			h := object{"alg": alg, "typ": typ, "kid": kid}
			out["alg "+alg+" with "+kid] = encode(h) + "." + encode(claims) + "."
			out["alg "+alg+" signed with "+kid] = encode(h) + "." + encode(claims) + ".AAAA"
		}
		delete(out, "")
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		for name, secret := range map[string][]byte{"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWK": []byte(text(t, jwkOf(kid, pub)))} {
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				if len(secret) < 64 {
					secret = append(secret, make([]byte, 64-len(secret))...)
				}
				if s, err := signJWS(secret, alg, kid, typ, claims); err == nil {
					out[alg+" with "+name+" of "+kid] = s
				}
			}
		}
		for alg, key := range clientKeys() {
			if alg != kid {
				s, err := signJWS(key, alg, kid, typ, claims)
				if err != nil {
					t.Fatal(err)
				}
				out[alg+" named "+kid] = s
			}
		}
	}
	return out
}

func TestClientAssertion_RS256OnlyWithAKeyOfThatUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, ok := clientKeys()["PS256"].(*rsa.PrivateKey)
	if !ok {
		t.Fatal("no RSA key")
	}
	var _ crypto.Signer = r
	w.register(`clients: [{client_id: pinned, client_name: Pinned App, token_endpoint_auth_method: private_key_jwt, token_endpoint_auth_signing_alg: PS256, jwks: ` +
		text(t, clientKeys().public()) + `, grant_types: [client_credentials], scope: cases.read, apis: [cases]}]`)
	for alg, status := range map[string]int{"PS256": http.StatusOK, "RS256": http.StatusUnauthorized} {
		s, err := signJWS(r, alg, "PS256", "JWT", object{"iss": "pinned", "sub": "pinned", "aud": w.issuer, "jti": "j-" + alg, "exp": w.clock.Now().Add(time.Minute).Unix()})
		if err != nil {
			t.Fatal(err)
		}
		if a := w.proven(s); a.status != status {
			t.Error(alg, a.status, a.body)
		}
	}
}
