package keyring

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fresh"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/unit"
)

const rsaBits = 2048

// Deps is what a keyring stands on.
type Deps struct {
	Store  Reader
	Commit unit.Committer
	Seal   *seal.Sealer
	Clock  clock.Clock
	Actor  string // who changes keys, for the audit: "operator:<os user>"; empty: "system"
}

// Ring signs, verifies and publishes. Changes made by a command or another replica are seen within fresh.Every. It is safe
// for concurrent use.
type Ring struct {
	d       Deps
	view    *fresh.View[ready]
	secrets sync.Map // name → []byte
}

// New returns a ring. Call Ensure before anything else.
func New(d Deps) *Ring {
	if d.Actor == "" {
		d.Actor = "system"
	}
	r := &Ring{d: d}
	r.view = fresh.New(d.Clock, d.Store.KeysVersion, func(ctx context.Context) (*ready, error) {
		list, err := d.Store.Keys(ctx)
		if err != nil {
			return nil, err
		}
		return prepare(list, d.Seal)
	})
	return r
}

// ready is the set of pairs as requests use it.
type ready struct {
	signers map[string]*signer  // by algorithm: the active pair
	public  map[string]verifier // by kid: all but discarded ones
	jwks    []byte
	etag    string
}

type verifier struct {
	key   jose.JSONWebKey
	state State
}

// signer is a parsed pair with a go-jose signer for each typ it has signed.
type signer struct {
	id, alg string
	private crypto.Signer
	byType  sync.Map // typ → jose.Signer
}

// prepare parses what is kept, once per change.
func prepare(list []Key, s *seal.Sealer) (*ready, error) {
	out := &ready{signers: map[string]*signer{}, public: map[string]verifier{}}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range list {
		if k.State == Discarded {
			continue
		}
		var pub jose.JSONWebKey
		if err := json.Unmarshal(k.Public, &pub); err != nil || pub.KeyID != k.ID || pub.Algorithm != k.Alg || !pub.IsPublic() {
			return nil, fmt.Errorf("signing key %s: its public part cannot be read (%v)", k.ID, err) //nolint:errorlint // there may be no err
		}
		out.public[k.ID] = verifier{pub, k.State}
		if k.State != Retired {
			set.Keys = append(set.Keys, pub)
		}
		if k.State == Active {
			sg, err := open(k, s)
			if err != nil {
				return nil, err
			}
			out.signers[k.Alg] = sg
		}
	}
	var err error
	out.jwks, err = json.Marshal(set)
	sum := sha256.Sum256(out.jwks)
	out.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return out, err
}

// open unseals a pair and checks that it is the one its id names.
func open(k Key, s *seal.Sealer) (*signer, error) {
	der, err := s.Open(k.Sealed, owner(k.ID, k.Alg))
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
	}
	p, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("signing key %s is a %T", k.ID, private)
	}
	if id, err := thumbprint(p.Public()); err != nil || id != k.ID {
		return nil, fmt.Errorf("signing key %s: the private part belongs to another public key", k.ID)
	}
	return &signer{id: k.ID, alg: k.Alg, private: p}, nil
}

func owner(id, alg string) string { return "signing key\x00" + alg + "\x00" + id }

// thumbprint names a public key (RFC 7638, SHA-256).
func thumbprint(public any) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// generate makes a pair for an algorithm.
func generate(alg string, state State, now time.Time, s *seal.Sealer) (Key, error) {
	var private crypto.Signer
	var err error
	switch alg {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256", "PS256":
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return Key{}, ErrAlgorithm
	}
	if err != nil {
		return Key{}, err
	}
	k := Key{Alg: alg, State: state, CreatedAt: now}
	if state == Active {
		k.ActiveAt = now
	}
	if k.ID, err = thumbprint(private.Public()); err != nil {
		return Key{}, err
	}
	if k.Public, err = json.Marshal(jose.JSONWebKey{Key: private.Public(), KeyID: k.ID, Algorithm: alg, Use: "sig"}); err != nil {
		return Key{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Key{}, err
	}
	k.Sealed, err = s.Seal(der, owner(k.ID, alg))
	return k, err
}

// JWKS returns the published set (RFC 7517 §5) and its entity tag, both prepared once per change. Callers must not change
// the text.
func (r *Ring) JWKS(ctx context.Context) (body []byte, etag string, err error) {
	v, err := r.view.Get(ctx)
	if err != nil {
		return nil, "", err
	}
	return v.jwks, v.etag, nil
}

// List returns all pairs, oldest first, without their private parts.
func (r *Ring) List(ctx context.Context) ([]Key, error) {
	list, err := r.d.Store.Keys(ctx)
	for i := range list {
		list[i].Sealed = nil
	}
	return list, err
}
