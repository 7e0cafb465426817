package issuertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/caseservice/internal/clock"
)

// Audience is the audience of the tokens that Claims makes.
const Audience = "http://localhost:8081"

// Issuer is a running issuer with one ES256 key.
type Issuer struct {
	URL   string
	Clock *clock.Fake

	mu    sync.Mutex
	keys  []jose.JSONWebKey // public and private; the last one signs
	path  string            // where the metadata is served
	down  atomic.Bool
	hits  atomic.Int64
	slow  atomic.Int64 // nanoseconds
	alien atomic.Bool
	mute  atomic.Bool
	stale atomic.Pointer[jose.JSONWebKeySet]
	feed  feed
}

// Start starts an issuer that stops with the test.
func Start(t testing.TB, c *clock.Fake) *Issuer {
	t.Helper()
	i := &Issuer{Clock: c, path: "/.well-known/oauth-authorization-server", feed: newFeed()}
	srv := httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(func() {
		srv.CloseClientConnections() // a poll would hold it for two seconds
		srv.Close()
	})
	i.URL = srv.URL
	i.Rotate("ES256")
	return i
}

// OnlyOpenID makes the issuer speak OpenID Connect Discovery alone.
func (i *Issuer) OnlyOpenID() {
	i.mu.Lock()
	i.path = "/.well-known/openid-configuration"
	i.mu.Unlock()
}

// Down takes the issuer down or up.
func (i *Issuer) Down(down bool) { i.down.Store(down) }

// Alien makes the metadata speak for another issuer.
func (i *Issuer) Alien() { i.alien.Store(true) }

// WithoutKeys keeps the keys back, or hands them out again.
func (i *Issuer) WithoutKeys(none bool) { i.mute.Store(none) }

// Stale makes the keys be those of before, as a replica has them that has not looked since. Nil: they are what they are.
func (i *Issuer) Stale(set *jose.JSONWebKeySet) { i.stale.Store(set) }

// Slow makes each answer take so long.
func (i *Issuer) Slow(d time.Duration) { i.slow.Store(int64(d)) }

// KeyFetches returns how often the keys were asked for.
func (i *Issuer) KeyFetches() int { return int(i.hits.Load()) }

// Rotate adds a key of the algorithm and signs with it from now on. It returns the kid.
func (i *Issuer) Rotate(alg string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	kid := fmt.Sprintf("k%d-%s", len(i.keys)+1, alg)
	i.keys = append(i.keys, jose.JSONWebKey{Key: newKey(alg), KeyID: kid, Algorithm: alg, Use: "sig"})
	return kid
}

// Withdraw forgets all keys but the newest.
func (i *Issuer) Withdraw() { i.mu.Lock(); i.keys = i.keys[len(i.keys)-1:]; i.mu.Unlock() }

// Key returns the signing key.
func (i *Issuer) Key() jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

// JWKS returns the published keys.
func (i *Issuer) JWKS() jose.JSONWebKeySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range i.keys {
		set.Keys = append(set.Keys, k.Public())
	}
	return set
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Duration(i.slow.Load()))
	if i.down.Load() {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	i.mu.Lock()
	metadata, none := i.path, i.feed.none
	i.mu.Unlock()
	name := i.URL
	if i.alien.Load() {
		name = "https://elsewhere.example"
	}
	switch r.URL.Path {
	case metadata:
		doc := map[string]string{"issuer": name, "jwks_uri": i.URL + "/jwks", "introspection_endpoint": i.URL + "/introspect"}
		if !none {
			doc["ellis_events_endpoint"] = i.URL + "/events/poll"
		}
		_ = json.NewEncoder(w).Encode(doc)
	case "/jwks":
		i.hits.Add(1)
		if i.mute.Load() {
			http.Error(w, "none now", http.StatusServiceUnavailable)
			return
		}
		set := i.JWKS()
		if old := i.stale.Load(); old != nil {
			set = *old
		}
		_ = json.NewEncoder(w).Encode(set)
	case "/events/poll":
		i.servePoll(w, r)
	case "/introspect":
		i.serveIntrospection(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Claims are the claims of a token.
type Claims map[string]any

// Person returns the claims of a person's token with a fresh second factor.
func (i *Issuer) Person(sub, scope string) Claims {
	now := i.Clock.Now().Unix()
	return Claims{
		"iss": i.URL, "sub": sub, "aud": Audience, "iat": now, "exp": now + 300, "jti": "jti-" + rand.Text(), "client_id": "portal",
		"scope": scope, "acr": "urn:ellis:aal2", "amr": []string{"pwd", "otp"}, "auth_time": now, "sid": "sid-1", "txn": "txn-" + sub,
	}
}

// Machine returns the claims of a client's own token.
func (i *Issuer) Machine(client, scope string) Claims {
	now := i.Clock.Now().Unix()
	return Claims{"iss": i.URL, "sub": client, "aud": Audience, "iat": now, "exp": now + 300, "jti": "jti-" + rand.Text(), "client_id": client, "scope": scope}
}

// With returns a copy with a member set, or removed where value is nil.
func (c Claims) With(name string, value any) Claims {
	out := Claims{}
	for k, v := range c {
		out[k] = v
	}
	out[name] = value
	if value == nil {
		delete(out, name)
	}
	return out
}

// Sign makes an access token.
func (i *Issuer) Sign(c Claims) string {
	k := i.Key()
	return Sign(k.Key, map[string]any{"typ": "at+jwt", "alg": k.Algorithm, "kid": k.KeyID}, c)
}

// Sign signs any payload under any header. The header's alg decides how.
func Sign(private any, header map[string]any, payload any) string {
	return SignRaw(private, fmt.Sprint(header["alg"]), mustJSON(header), mustJSON(payload))
}

// SignRaw signs texts as they are.
func SignRaw(private any, alg string, header, payload []byte) string {
	signed := b64(header) + "." + b64(payload)
	return signed + "." + b64(signature(private, alg, signed))
}

func signature(private any, alg, signed string) []byte {
	digest := crypto.SHA256.New()
	_, _ = digest.Write([]byte(signed))
	sum := digest.Sum(nil)
	switch k := private.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, sum)
		must(err)
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		sign := func() ([]byte, error) { return rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum) }
		if alg == "PS256" {
			sign = func() ([]byte, error) {
				return rsa.SignPSS(rand.Reader, k, crypto.SHA256, sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
			}
		}
		out, err := sign()
		must(err)
		return out
	case ed25519.PrivateKey:
		return ed25519.Sign(k, []byte(signed))
	}
	return nil
}

func newKey(alg string) any {
	var k any
	var err error
	switch alg {
	case "ES256":
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256", "PS256":
		k, err = rsa.GenerateKey(rand.Reader, 2048)
	case "EdDSA":
		_, k, err = ed25519.GenerateKey(rand.Reader)
	default:
		panic("no key for " + alg)
	}
	must(err)
	return k
}

func payloadOf(token string) []byte {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	b, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return b
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	must(err)
	return b
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
