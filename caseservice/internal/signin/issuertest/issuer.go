package issuertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/caseservice/internal/clock"
)

// The portal as it is registered, and the API that it asks for.
const (
	ClientID     = "portal"
	ClientSecret = "s:cret %/+" // needs the form-encoding of RFC 6749 §2.3.1
	Resource     = "http://localhost:8081"
	AAL1         = "urn:ellis:aal1"
	AAL2         = "urn:ellis:aal2"
)

// Lifetime is that of access tokens.
const Lifetime = 5 * time.Minute

// Person is who sits at the browser.
type Person struct {
	Subject  string
	ACR      string
	AuthTime time.Time
	CanAAL2  bool // has a second factor to show when it is asked for
}

// Grant is what the person allowed.
type Grant struct {
	Person
	Scope    string
	Resource string
	Expires  time.Time
	redirect, challenge, nonce,
	family string
}

// Issuer is a running provider.
type Issuer struct {
	URL   string
	Clock *clock.Fake

	mu        sync.Mutex
	person    Person
	key       *ecdsa.PrivateKey
	codes     map[string]Grant
	refresh   map[string]Grant
	spent     map[string]string // refresh tokens that were used, with their families
	dead      map[string]bool   // families
	requests  []url.Values      // of the authorization endpoint
	secrets   []string          // everything that no browser may see
	redeemed  int
	renewed   int
	redirects []string // registered
	leaving   []string // registered post-logout redirect URIs
	hooks     Hooks
}

// Hooks make the provider misbehave. Each may be nil.
type Hooks struct {
	Metadata func(map[string]any)               // changes the discovery document
	Answer   func(url.Values)                   // changes the authorization response
	IDToken  func(map[string]any)               // changes the claims of an ID token
	Token    func(map[string]any)               // changes a token response
	Refuse   func(grantType string) int         // status with which the token endpoint answers; 0: as usual
	SignID   func(claims map[string]any) string // makes the ID token itself
	Down     func(path string) bool             // answers 502
}

// Start starts a provider that stops with the test. origin is where the portal is reached.
func Start(t testing.TB, c *clock.Fake, origin string) *Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{
		Clock: c, key: key, codes: map[string]Grant{}, refresh: map[string]Grant{}, spent: map[string]string{}, dead: map[string]bool{},
		redirects: []string{origin + "/callback"}, leaving: []string{origin + "/signed-out"},
		person: Person{Subject: "sub-ana", ACR: AAL1, AuthTime: c.Now(), CanAAL2: true},
	}
	srv := httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(srv.Close)
	i.URL = srv.URL
	return i
}

// SetPerson changes who sits at the browser.
func (i *Issuer) SetPerson(p Person) { i.mu.Lock(); i.person = p; i.mu.Unlock() }

// Misbehave installs hooks.
func (i *Issuer) Misbehave(h Hooks) { i.mu.Lock(); i.hooks = h; i.mu.Unlock() }

// RevokeAll ends every grant, as signing out everywhere does.
func (i *Issuer) RevokeAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, g := range i.refresh {
		i.dead[g.family] = true
	}
}

// Requests returns what the authorization endpoint was asked.
func (i *Issuer) Requests() []url.Values {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.requests)
}

// Counts returns how many codes were redeemed and how many refresh tokens used.
func (i *Issuer) Counts() (redeemed, renewed int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.redeemed, i.renewed
}

// Live returns how many refresh tokens can be used.
func (i *Issuer) Live() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for _, g := range i.refresh {
		if !i.dead[g.family] {
			n++
		}
	}
	return n
}

// Secrets returns every token that was issued.
func (i *Issuer) Secrets() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.secrets)
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.hooks.Down != nil && i.hooks.Down(r.URL.Path) {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		i.metadata(w)
	case "/jwks":
		answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	case "/authorize":
		i.authorize(w, r)
	case "/token":
		i.token(w, r)
	case "/revoke":
		i.revoke(w, r)
	case "/logout":
		i.logout(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (i *Issuer) metadata(w http.ResponseWriter) {
	m := map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/jwks",
		"end_session_endpoint": i.URL + "/logout", "revocation_endpoint": i.URL + "/revoke", "response_types_supported": []string{"code"},
		"id_token_signing_alg_values_supported": []string{"ES256"}, "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
	}
	if i.hooks.Metadata != nil {
		i.hooks.Metadata(m)
	}
	answer(w, http.StatusOK, m)
}

func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	i.requests = append(i.requests, q)
	to := q.Get("redirect_uri")
	if q.Get("client_id") != ClientID || !slices.Contains(i.redirects, to) {
		http.Error(w, "unknown client or redirect URI", http.StatusBadRequest)
		return
	}
	out := url.Values{"state": {q.Get("state")}, "iss": {i.URL}}
	if !wellFormed(q) {
		out.Set("error", "invalid_request")
	} else {
		i.signIn(q)
		code := i.secret("code")
		i.codes[code] = Grant{Person: i.person, Scope: q.Get("scope"), Resource: q.Get("resource"), redirect: to, challenge: q.Get("code_challenge"), nonce: q.Get("nonce"), family: rand.Text()}
		out.Set("code", code)
	}
	if i.hooks.Answer != nil {
		i.hooks.Answer(out)
	}
	http.Redirect(w, r, to+"?"+out.Encode(), http.StatusSeeOther)
}

// wellFormed reports whether an authorization request is what the portal has to send.
func wellFormed(q url.Values) bool {
	for _, v := range q {
		if len(v) != 1 {
			return false
		}
	}
	return q.Get("response_type") == "code" && q.Get("code_challenge_method") == "S256" && len(q.Get("code_challenge")) == 43 &&
		len(q.Get("nonce")) >= 22 && len(q.Get("state")) >= 22 && q.Get("resource") == Resource && slices.Contains(strings.Fields(q.Get("scope")), "openid")
}

// signIn is what the person does at the provider: sign in anew where the request asks for it.
func (i *Issuer) signIn(q url.Values) {
	now := i.Clock.Now()
	if n, err := strconv.Atoi(q.Get("max_age")); err == nil && now.Sub(i.person.AuthTime) > time.Duration(n)*time.Second {
		i.person.AuthTime = now
	}
	if slices.Contains(strings.Fields(q.Get("acr_values")), AAL2) && i.person.ACR != AAL2 && i.person.CanAAL2 {
		i.person.ACR, i.person.AuthTime = AAL2, now
	}
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	if !i.client(w, r) {
		return
	}
	kind := r.PostFormValue("grant_type")
	if i.hooks.Refuse != nil {
		if status := i.hooks.Refuse(kind); status != 0 {
			answer(w, status, map[string]string{"error": "temporarily_unavailable"})
			return
		}
	}
	var g Grant
	var ok bool
	switch kind {
	case "authorization_code":
		g, ok = i.redeem(r)
	case "refresh_token":
		g, ok = i.renew(r)
	}
	if !ok {
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": "no such grant"})
		return
	}
	i.issue(w, g)
}

func (i *Issuer) client(w http.ResponseWriter, r *http.Request) bool {
	id, secret, _ := r.BasicAuth()
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	if err1 != nil || err2 != nil || id != ClientID || secret != ClientSecret || r.Method != http.MethodPost {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return false
	}
	return true
}

func (i *Issuer) redeem(r *http.Request) (Grant, bool) {
	code := r.PostFormValue("code")
	g, ok := i.codes[code]
	delete(i.codes, code)
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || g.redirect != r.PostFormValue("redirect_uri") || g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) || g.Resource != r.PostFormValue("resource") {
		return g, false
	}
	i.redeemed++
	return g, true
}

func (i *Issuer) renew(r *http.Request) (Grant, bool) {
	old := r.PostFormValue("refresh_token")
	g, ok := i.refresh[old]
	if !ok || i.dead[g.family] {
		i.dead[i.spent[old]] = true // reuse kills the family: RFC 9700 §4.14.2
		return g, false
	}
	delete(i.refresh, old)
	i.spent[old] = g.family
	i.renewed++
	g.nonce = ""
	return g, true
}

// issue answers with new tokens; a refresh token rotates.
func (i *Issuer) issue(w http.ResponseWriter, g Grant) {
	now := i.Clock.Now()
	g.Expires = now.Add(Lifetime)
	access := i.accessToken(g)
	out := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": int(Lifetime / time.Second)}
	if strings.Contains(g.Scope, "offline_access") {
		token := i.secret("refresh")
		i.refresh[token] = g
		out["refresh_token"] = token
	}
	sum := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": i.URL, "sub": g.Subject, "aud": ClientID, "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(), "auth_time": g.AuthTime.Unix(),
		"acr": g.ACR, "sid": "sid-" + g.family, "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if i.hooks.IDToken != nil {
		i.hooks.IDToken(claims)
	}
	sign := i.hooks.SignID
	if sign == nil {
		sign = func(c map[string]any) string {
			return Sign(i.key, map[string]any{"alg": "ES256", "kid": "k1", "typ": "JWT"}, c)
		}
	}
	id := sign(claims)
	i.secrets = append(i.secrets, id)
	out["id_token"] = id
	if i.hooks.Token != nil {
		i.hooks.Token(out)
	}
	answer(w, http.StatusOK, out)
}

// accessToken makes one that a case API takes (RFC 9068).
func (i *Issuer) accessToken(g Grant) string {
	now := i.Clock.Now()
	token := Sign(i.key, map[string]any{"alg": "ES256", "kid": "k1", "typ": "at+jwt"}, map[string]any{
		"iss": i.URL, "sub": g.Subject, "aud": g.Resource, "iat": now.Unix(), "exp": g.Expires.Unix(), "jti": rand.Text(), "client_id": ClientID,
		"scope": g.Scope, "acr": g.ACR, "auth_time": g.AuthTime.Unix(), "txn": "txn-" + g.family,
	})
	i.secrets = append(i.secrets, token)
	return token
}

// Key returns the signing key.
func (i *Issuer) Key() *ecdsa.PrivateKey { return i.key }

// Sign makes a token in compact form (RFC 7515 §7.1) with ES256, whatever its header says.
func Sign(key *ecdsa.PrivateKey, header, claims map[string]any) string {
	text := b64(header) + "." + b64(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func b64(v map[string]any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func (i *Issuer) revoke(w http.ResponseWriter, r *http.Request) {
	if !i.client(w, r) {
		return
	}
	if g, ok := i.refresh[r.PostFormValue("token")]; ok {
		i.dead[g.family] = true
	}
	w.WriteHeader(http.StatusOK)
}

func (i *Issuer) logout(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to := q.Get("post_logout_redirect_uri")
	if !slices.Contains(i.leaving, to) || q.Get("client_id") != ClientID || len(q.Get("state")) < 22 {
		http.Error(w, "not registered", http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, to+"?"+url.Values{"state": {q.Get("state")}}.Encode(), http.StatusSeeOther)
}

func (i *Issuer) secret(kind string) string {
	s := kind + "-" + rand.Text()
	if kind != "code" { // which the browser carries
		i.secrets = append(i.secrets, s)
	}
	return s
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
