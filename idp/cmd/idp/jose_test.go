package main

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func jwkOf(kid string, pub crypto.PublicKey) jose.JSONWebKey {
	return jose.JSONWebKey{Key: pub, KeyID: kid, Use: "sig"}
}

// published returns the provider's keys.
func (w *world) published() jose.JSONWebKeySet {
	w.Helper()
	var s jose.JSONWebKeySet
	w.must(json.Unmarshal([]byte(w.do(http.MethodGet, "/jwks", nil).body), &s))
	return s
}

// publicParts returns public keys by kid.
func publicParts(t *testing.T, keys any) map[string]crypto.PublicKey {
	t.Helper()
	out := map[string]crypto.PublicKey{}
	switch k := keys.(type) {
	case keySet:
		for kid, s := range k {
			out[kid] = s.Public()
		}
	case jose.JSONWebKeySet:
		for _, one := range k.Keys {
			out[one.KeyID] = one.Key
		}
	default:
		t.Fatalf("no keys: %T", keys)
	}
	return out
}

func TestAttack_C07_KeyIDsReachNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ec := clientKeys()["ES256"]
	for _, kid := range []string{"../../x", "' OR 1=1 --", "k\r\nFLUSHALL", strings.Repeat("k", 4000), "\x00", "ES256\x00", "%00", "ES256 ", "es256"} {
		body := object{"iss": "key", "sub": "key", "aud": w.issuer, "jti": "kid", "exp": w.clock.Now().Unix() + 60}
		s, err := signJWS(ec, "ES256", kid, "JWT", body)
		w.must(err)
		w.wants("assertion", w.proven(s), http.StatusUnauthorized, "invalid_client")
		s, err = signJWS(ec, "ES256", kid, "at+jwt", body)
		w.must(err)
		w.wants("access token", w.userinfo(s), http.StatusUnauthorized, "invalid_token")
	}
	if log := w.log.String(); strings.Contains(log, "FLUSHALL") || strings.Contains(log, `"level":"ERROR"`) {
		t.Error(log)
	}
}

func TestAttack_C12_OnlyCompactTokensWithOneSignature(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	access := w.tokens(ana, "web", "scope", "openid").str("access_token")
	for name, good := range map[string]string{"assertion": w.assertion("ES256", nil), "access": access} {
		p := strings.Split(good, ".")
		sig := object{"protected": p[0], "signature": p[2]}
		for form, s := range map[string]string{
			"flattened": text(t, object{"protected": p[0], "payload": p[1], "signature": p[2]}), "general": text(t, object{"payload": p[1], "signatures": []object{sig}}),
			"two signatures": text(t, object{"payload": p[1], "signatures": []object{sig, sig}}), "four parts": good + "." + p[2], "five parts": good + ".." + p[2], "two parts": p[0] + "." + p[1],
		} {
			if name == "assertion" {
				w.wants(form, w.proven(s), http.StatusUnauthorized, "invalid_client")
			} else if a := w.as("web", "/introspect", url.Values{"token": {s}}); a.object["active"] != false {
				t.Error(form, a.body)
			}
		}
	}
}

func TestAttack_C22_OneTokenHasOneText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	access := w.tokens(ana, "web", "scope", "openid").str("access_token")
	for name, good := range map[string]string{"assertion": w.assertion("ES256", nil), "access": access} {
		p := strings.Split(good, ".")
		for i := range p {
			for form, part := range map[string]string{
				"padded": p[i] + "=", "space before": " " + p[i], "space after": p[i] + " ", "line end": p[i] + "\n", "CR": p[i] + "\r", "inner space": p[i][:4] + " " + p[i][4:],
				"a stray bit": strayBit(p[i]), "standard alphabet": p[i][:3] + "+" + p[i][4:], "a slash": p[i][:3] + "/" + p[i][4:], "empty": "",
			} {
				q := append([]string{}, p...)
				if q[i] = part; part == p[i] {
					continue
				}
				s := strings.Join(q, ".")
				if name == "assertion" {
					w.wants(form, w.proven(s), http.StatusUnauthorized, "invalid_client")
				} else if a := w.as("web", "/introspect", url.Values{"token": {s}}); a.object["active"] != false {
					t.Errorf("part %d %s: %s", i, form, a.body)
				}
			}
		}
	}
}

// strayBit changes the bits of the last character that no byte uses; without such bits it returns s.
func strayBit(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	for _, d := range []int{1, 2, 3} {
		c := s[:len(s)-1] + string(alphabet[last^d])
		a, err1 := base64.RawURLEncoding.DecodeString(s)
		b, err2 := base64.RawURLEncoding.DecodeString(c)
		if err1 == nil && err2 == nil && string(a) == string(b) {
			return c
		}
	}
	return s
}

func TestAttack_C09_NoEncryptedTokenIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2s":"c2FsdHNhbHQ","p2c":2147483647,"typ":"at+jwt"}`))
	jwe := header + ".AAAA.AAAA.AAAA.AAAA"
	began := w.browser()
	w.wants("access token", w.userinfo(jwe), http.StatusUnauthorized, "invalid_token")
	w.wants("assertion", w.proven(jwe), http.StatusUnauthorized, "invalid_client")
	if a := began.authorize(request("web", "id_token_hint", jwe)).answer(appURI); a.Get("error") != "invalid_request" {
		t.Error(a)
	}
	if w.active("web", jwe) {
		t.Error("introspection")
	}
}

func TestAttack_C21_BasicCredentialsAreStrict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.secrets["machine"]
	b64 := base64.StdEncoding.EncodeToString
	good := b64([]byte("machine:" + secret))
	for name, header := range map[string]string{
		"no base64": "Basic %%%", "url alphabet": "Basic " + base64.RawURLEncoding.EncodeToString([]byte("machine:"+secret+"??>>")), "no padding": "Basic " + strings.TrimRight(b64([]byte("machine:"+secret+"x")), "="),
		"no colon": "Basic " + b64([]byte("machine"+secret)), "nothing": "Basic ", "only a colon": "Basic " + b64([]byte(":")), "no id": "Basic " + b64([]byte(":"+secret)), "no secret": "Basic " + b64([]byte("machine:")),
		"a bad escape": "Basic " + b64([]byte("machine:%zz")), "a space in it": "Basic " + good[:4] + " " + good[4:], "two spaces": "Basic  " + good, "more after": "Basic " + good + " x", "stray bits": "Basic " + strayBit(strings.TrimRight(b64([]byte("machine:"+secret+"xy")), "=")) + "=",
		"other scheme": "Bearer " + good, "no scheme": good, "id with a space": "Basic " + b64([]byte(" machine:"+secret)), "secret with a space": "Basic " + b64([]byte("machine:"+secret+"+")),
	} {
		w.wants(name, w.do(http.MethodPost, "/token", machineForm(), "Authorization", header), http.StatusUnauthorized, "invalid_client")
	}
	w.wants("two headers", w.do(http.MethodPost, "/token", machineForm(), "Authorization", "Basic "+good, "Authorization", "Basic "+good), http.StatusUnauthorized, "invalid_client")
	w.wants("header and body", w.do(http.MethodPost, "/token", machineForm("client_secret", secret, "client_id", "machine"), "Authorization", "Basic "+good), http.StatusUnauthorized, "invalid_client")
	w.wants("another client in the body", w.do(http.MethodPost, "/token", machineForm("client_id", "web"), "Authorization", "Basic "+good), http.StatusUnauthorized, "invalid_client")
	w.wants("header and assertion", w.do(http.MethodPost, "/token", machineForm("client_assertion_type", assertionKind, "client_assertion", w.assertion("ES256", nil)), "Authorization", "Basic "+good), http.StatusUnauthorized, "invalid_client")
	for name, header := range map[string]string{"plain": "Basic " + good, "other case": "bAsIc " + good, "form-encoded": "Basic " + b64([]byte("%6dachine:"+url.QueryEscape(secret)))} {
		if a := w.do(http.MethodPost, "/token", machineForm(), "Authorization", header); a.status != http.StatusOK {
			t.Error(name, a.status, a.body)
		}
	}
	if a := w.do(http.MethodPost, "/token", machineForm("client_id", "machine"), "Authorization", "Basic "+good); a.status != http.StatusOK {
		t.Error("its own client_id in the body:", a.body)
	}
}
