package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"ellis.example/idp/internal/keyring"
)

// farSigner makes one P-256 pair a kid, and can be lost.
type farSigner struct {
	mu    sync.Mutex
	pairs map[string]*ecdsa.PrivateKey
	lost  bool
}

func (*farSigner) Name() string { return "far" }

func (f *farSigner) Create(_ context.Context, kid, alg string) (crypto.PublicKey, error) {
	if alg != "ES256" {
		return nil, keyring.ErrAlgorithm
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pairs[kid] = k
	return k.Public(), nil
}

func (f *farSigner) Sign(_ context.Context, kid string, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost {
		return nil, errors.New("the cable is out")
	}
	return f.pairs[kid].Sign(rand.Reader, digest, opts)
}

func (*farSigner) Destroy(context.Context, string) error { return nil }

func TestSigner_WhenItIsLostTokensAre503AndKeysStayPublished(t *testing.T) {
	t.Parallel()
	far := &farSigner{pairs: map[string]*ecdsa.PrivateKey{}}
	w := newWorld(t, func(s *settings) { s.signer = far })
	w.clock.Advance(keyring.PublishedFor)
	w.must(w.p.ring.Rotate(t.Context(), "ES256", false)) // the pair that signs next is made outside
	w.clock.Advance(keyring.PublishedFor)
	w.must(w.p.ring.Rotate(t.Context(), "ES256", false))
	ask := url.Values{"grant_type": {"client_credentials"}, "scope": {"cases.read"}}
	a := w.as("machine", "/token", ask)
	head, _ := claims(a.str("access_token"))
	kid, _ := head["kid"].(string)
	if a.status != http.StatusOK || far.pairs[kid] == nil || !verifies(w.published(), a.str("access_token")) {
		t.Fatalf("%d %s by %q", a.status, a.body, kid)
	}
	far.mu.Lock()
	far.lost = true
	far.mu.Unlock()
	code := w.newCode(ana, "web", "scope", "openid cases.read")
	for name, a := range map[string]answer{"client_credentials": w.as("machine", "/token", ask), "code": w.redeem("web", code)} {
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || strings.Contains(a.body, "cable") {
			t.Errorf("%s: %d %s, Retry-After %q", name, a.status, a.body, a.header.Get("Retry-After"))
		}
	}
	if !verifies(w.published(), a.str("access_token")) {
		t.Error("the pair is no longer published")
	}
	if other := w.as("machine", "/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"letters.read"}}); other.status != http.StatusOK {
		t.Errorf("a pair that is held here: %d %s", other.status, other.body)
	}
	far.mu.Lock()
	far.lost = false
	far.mu.Unlock()
	if a := w.as("machine", "/token", ask); a.status != http.StatusOK {
		t.Errorf("once it is back: %d %s", a.status, a.body)
	}
}

func TestSigner_TheSettingSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for uri, says := range map[string]string{
		"hsm:x":          "write pkcs11:",
		"pkcs11:token=x": "name both|only token",
		"pkcs11:token=x;object=y?module-path=/z.so":     "only token",
		"pkcs11:token=x?module-path=/z.so&pin-value=12": "no PIN here",
		"pkcs11:module-path=/z.so?token=x":              "only token",
		"pkcs11:token=%zz?module-path=/z.so":            "percent-encoding",
	} {
		_, _, err := parseSigner(uri)
		ok := false
		for word := range strings.SplitSeq(says, "|") {
			ok = ok || err != nil && strings.Contains(err.Error(), word)
		}
		if !ok || strings.Contains(err.Error(), "12") {
			t.Errorf("%s: %v", uri, err)
		}
	}
	module, label, err := parseSigner("pkcs11:token=The%20keys?module-path=/usr/lib/softhsm/libsofthsm2.so")
	if err != nil || module != "/usr/lib/softhsm/libsofthsm2.so" || label != "The keys" {
		t.Errorf("%q %q %v", module, label, err)
	}
}
