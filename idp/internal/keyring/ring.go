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
	"errors"
	"fmt"
	"strings"
	"sync"

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
	// External makes and holds private keys outside this process; nil: they are sealed in the store.
	External External
}

// Ring signs, verifies and publishes. Changes made by a command or another replica are seen within fresh.Every. It is safe
// for concurrent use.
type Ring struct {
	d       Deps
	outside *outside // nil when there is no External
	making  sync.Mutex
	view    *fresh.View[ready]
	secrets sync.Map // name → []byte
}

// New returns a ring. Call Ensure before anything else.
func New(d Deps) *Ring {
	if d.Actor == "" {
		d.Actor = "system"
	}
	r := &Ring{d: d}
	if d.External != nil {
		r.outside = newOutside(d.External)
	}
	r.view = fresh.New(d.Clock, d.Store.KeysVersion, func(ctx context.Context) (*ready, error) {
		list, err := d.Store.Keys(ctx)
		if err != nil {
			return nil, err
		}
		return r.prepare(list)
	})
	return r
}

// ready is the set of pairs as requests use it.
type ready struct {
	signers map[string]*signer  // by algorithm: the active pair
	public  map[string]verifier // by kid: all but discarded ones
	jwks    []byte
	etag    string
	seen    seen
}

type verifier struct {
	key   jose.JSONWebKey
	state State
}

// signer is a parsed pair with a go-jose signer for each typ it has signed.
type signer struct {
	id, alg string
	private crypto.Signer
	outside *outside // in place of private
	public  crypto.PublicKey
	err     error    // why this pair cannot sign here
	byType  sync.Map // typ → encoded header
}

// prepare parses what is kept, once per change. A private part that is out of reach takes away its signatures alone: what is
// published stays right.
func (r *Ring) prepare(list []Key) (*ready, error) {
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
			out.signers[k.Alg] = r.open(k, pub.Key)
		}
	}
	var err error
	out.jwks, err = json.Marshal(set)
	sum := sha256.Sum256(out.jwks)
	out.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return out, err
}

// open unseals a pair, or what says who holds it.
func (r *Ring) open(k Key, public crypto.PublicKey) *signer {
	s := &signer{id: k.ID, alg: k.Alg, public: public}
	plain, err := r.d.Seal.Open(k.Sealed, KeyOwner(k.ID, k.Alg))
	if err == nil {
		if name, outside := strings.CutPrefix(string(plain), externalMark); outside {
			s.outside, err = r.holder(name)
		} else {
			s.private, err = parsePrivate(plain, k.ID)
		}
	}
	if err != nil {
		s.err = fmt.Errorf("signing key %s: %w", k.ID, err)
	}
	return s
}

// parsePrivate reads a private part and checks that it is the one the id names.
func parsePrivate(der []byte, id string) (crypto.Signer, error) {
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	p, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("it is a %T", private)
	}
	if its, err := thumbprint(p.Public()); err != nil || its != id {
		return nil, errors.New("the private part belongs to another public key")
	}
	return p, nil
}

// KeyOwner is what the private part of a pair is bound to where it is sealed.
func KeyOwner(id, alg string) string { return "signing key\x00" + alg + "\x00" + id }

// thumbprint names a public key (RFC 7638, SHA-256).
func thumbprint(public any) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// generate makes a pair for an algorithm, outside the process where somebody there holds the keys.
func (r *Ring) generate(ctx context.Context, alg string, state State) (k Key, err error) {
	now := r.d.Clock.Now()
	k = Key{Alg: alg, State: state, CreatedAt: now}
	if state == Active {
		k.ActiveAt = now
	}
	var public crypto.PublicKey
	var secret []byte
	if r.outside != nil {
		k.ID, public, err = r.outside.create(ctx, alg)
		secret = []byte(externalMark + r.outside.name())
	} else {
		k.ID, public, secret, err = generateHere(alg)
	}
	if err != nil {
		return Key{}, err
	}
	if k.Public, err = json.Marshal(jose.JSONWebKey{Key: public, KeyID: k.ID, Algorithm: alg, Use: "sig"}); err != nil {
		return Key{}, err
	}
	k.Sealed, err = r.d.Seal.Seal(secret, KeyOwner(k.ID, alg))
	return k, err
}

// generateHere makes a pair in this process. secret is its private part as PKCS #8.
func generateHere(alg string) (id string, public crypto.PublicKey, secret []byte, err error) {
	var private crypto.Signer
	switch alg {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256", "PS256":
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = ErrAlgorithm
	}
	if err != nil {
		return "", nil, nil, err
	}
	if id, err = thumbprint(private.Public()); err != nil {
		return "", nil, nil, err
	}
	secret, err = x509.MarshalPKCS8PrivateKey(private)
	return id, private.Public(), secret, err
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
