package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const assertionKind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// verifier and challenge are the PKCE pair of requests that say nothing else.
const verifier = "the-verifier-of-every-app-in-these-tests-0123456789"

func challenge(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// keyring of the client that authenticates with keys.
type keySet map[string]crypto.Signer // by algorithm, which is also the kid

var clientKeys = sync.OnceValue(func() keySet {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return keySet{"ES256": ec, "EdDSA": ed, "PS256": r}
})

func (k keySet) public() jose.JSONWebKeySet {
	var s jose.JSONWebKeySet
	for alg, key := range k {
		s.Keys = append(s.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: alg, Use: "sig"})
	}
	return s
}

// sign makes a compact JWS with whatever header and claims.
func signJWS(key any, alg, kid, typ string, claims any) (string, error) {
	opt := &jose.SignerOptions{}
	if typ != "" {
		opt = opt.WithType(jose.ContentType(typ))
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: jose.JSONWebKey{Key: key, KeyID: kid}}, opt)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	o, err := s.Sign(b)
	if err != nil {
		return "", err
	}
	return o.CompactSerialize()
}

type object = map[string]any

var jtis struct {
	sync.Mutex
	n int
}

// assertion signs claims over those of a good client assertion; nil removes one.
func (w *world) assertion(alg string, over object) string {
	w.Helper()
	jtis.Lock()
	jtis.n++
	claims := object{"iss": "key", "sub": "key", "aud": w.issuer, "jti": "a" + strconv.Itoa(jtis.n), "exp": w.clock.Now().Add(time.Minute).Unix(), "iat": w.clock.Now().Unix()}
	jtis.Unlock()
	for k, v := range over {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	s, err := signJWS(clientKeys()[alg], alg, alg, "JWT", claims)
	w.must(err)
	return s
}

// answer of a JSON endpoint.
type answer struct {
	status int
	header http.Header
	body   string
	object
}

func (a answer) str(name string) string { s, _ := a.object[name].(string); return s }

func (a answer) num(name string) float64 { f, _ := a.object[name].(float64); return f }

// do sends a request without a browser.
func (w *world) do(method, path string, body url.Values, header ...string) answer {
	w.Helper()
	var r io.Reader = http.NoBody
	if body != nil {
		r = strings.NewReader(body.Encode())
	}
	req, err := http.NewRequestWithContext(w.Context(), method, w.issuer+path, r)
	w.must(err)
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Content-Type" {
			req.Header.Del(header[i])
		}
		req.Header.Add(header[i], header[i+1])
	}
	return w.send(req)
}

func (w *world) send(req *http.Request) answer {
	w.Helper()
	res, err := w.http.Do(req)
	w.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	w.must(err)
	a := answer{status: res.StatusCode, header: res.Header, body: string(b)}
	_ = json.Unmarshal(b, &a.object) // not every body is JSON
	return a
}

// basic is the Authorization header of a client.
func (w *world) basic(id string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+w.secrets[id]))
}

// as sends a form to an endpoint, authenticated as a client by the method it is registered for.
func (w *world) as(client, path string, v url.Values) answer {
	w.Helper()
	f := url.Values{}
	for k, one := range v {
		f[k] = one
	}
	switch client {
	case "spa", "native":
		f.Set("client_id", client)
	case "key":
		f.Set("client_assertion_type", assertionKind)
		f.Set("client_assertion", w.assertion("ES256", nil))
	case "post":
		f.Set("client_id", client)
		f.Set("client_secret", w.secrets[client])
	default:
		return w.do(http.MethodPost, path, f, "Authorization", w.basic(client))
	}
	return w.do(http.MethodPost, path, f)
}

// app is what differs between the clients at the authorization endpoint.
var redirects = map[string]string{"web": appURI, "post": "https://post.example/cb", "key": "https://key.example/cb", "spa": "https://spa.example/cb", "native": "http://127.0.0.1:49152/cb"}

// request is an authorization request of a client; pairs replace parameters, an empty value removes one.
func request(client string, pairs ...string) url.Values {
	v := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {redirects[client]}, "scope": {"openid offline_access cases.read"}, "state": {"st-" + client},
		"nonce": {"n-" + client}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

// authorize opens an authorization request.
func (b *browser) authorize(v url.Values) *page {
	b.w.Helper()
	return b.get("/authorize?" + v.Encode())
}

// grant walks a request to its end as a person who allows everything, and returns the answer's parameters.
func (b *browser) grant(email string, v url.Values) url.Values {
	b.w.Helper()
	p := b.authorize(v).signIn(email)
	if p.out == "" && p.url.Path == "/consent" {
		p = p.submit("decision", "allow")
	}
	return p.answer(v.Get("redirect_uri"))
}

// answer returns what an authorization response carries to a redirect URI.
func (p *page) answer(redirect string) url.Values {
	p.b.w.Helper()
	if p.out == "" || !strings.HasPrefix(p.out, redirect) {
		p.b.w.Fatalf("no answer to %s but to %q, at %s (status %d): %s", redirect, p.out, p.url.Path, p.status, p.text())
	}
	u, err := url.Parse(p.out)
	p.b.w.must(err)
	return u.Query()
}

// code gets a code for a client in a new browser.
func (w *world) newCode(email, client string, pairs ...string) string {
	w.Helper()
	return w.browser().newCode(email, client, pairs...)
}

func (b *browser) newCode(email, client string, pairs ...string) string {
	b.w.Helper()
	a := b.grant(email, request(client, pairs...))
	if a.Get("code") == "" {
		b.w.Fatalf("no code: %v", a)
	}
	return a.Get("code")
}

// redemption is the token request of a code.
func redemption(client, code string, pairs ...string) url.Values {
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirects[client]}, "code_verifier": {verifier}}
	for i := 0; i < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

func (w *world) redeem(client, code string, pairs ...string) answer {
	w.Helper()
	return w.as(client, "/token", redemption(client, code, pairs...))
}

// refresh asks with a refresh token; pairs are further parameters.
func (w *world) refresh(client, token string, pairs ...string) answer {
	w.Helper()
	v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return w.as(client, "/token", v)
}

// tokens signs a person in and redeems the code.
func (w *world) tokens(email, client string, pairs ...string) answer {
	w.Helper()
	a := w.redeem(client, w.newCode(email, client, pairs...))
	if a.status != http.StatusOK {
		w.Fatalf("no tokens: %d %s", a.status, a.body)
	}
	return a
}

// userinfo asks with a bearer token.
func (w *world) userinfo(token string) answer {
	w.Helper()
	return w.do(http.MethodGet, "/userinfo", nil, "Authorization", "Bearer "+token)
}

// active introspects as a client.
func (w *world) active(client, token string) bool {
	w.Helper()
	a := w.as(client, "/introspect", url.Values{"token": {token}})
	if a.status != http.StatusOK {
		w.Fatalf("introspection: %d %s", a.status, a.body)
	}
	return a.object["active"] == true
}

// wants fails the test unless the answer has the status and the error code.
func (w *world) wants(what string, a answer, status int, code string) {
	w.Helper()
	if a.status != status || a.str("error") != code {
		w.Errorf("%s: got %d %s, want %d %s", what, a.status, a.body, status, code)
	}
}

// claims reads a JWS without verifying it: the tests of verification do that by the published keys.
func claims(token string) (header, payload object) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil
	}
	for i, to := range []*object{&header, &payload} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(b, to) != nil {
			return nil, nil
		}
	}
	return header, payload
}
