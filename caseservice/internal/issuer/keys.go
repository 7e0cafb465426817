package issuer

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Key is one public key of the issuer.
type Key struct {
	kid  string
	algs []jose.SignatureAlgorithm // what it may have signed with
	jwk  jose.JSONWebKey
	thum string // RFC 7638: the same key in the next set has the same one
}

// keySet is one state of the issuer's JWKS. It is never changed.
type keySet struct {
	byKid   map[string]*Key
	fetched time.Time
}

const (
	maxKeys    = 64
	minRSABits = 2048
)

// ID is the key's kid.
func (k *Key) ID() string { return k.kid }

// holds reports whether the very key is still published. A key that the issuer has withdrawn takes the tokens that are
// remembered with it.
func (s *keySet) holds(k *Key) bool {
	now, ok := s.byKid[k.kid]
	return ok && (now == k || now.thum == k.thum)
}

// key returns the key of a kid, nil when there is none.
func (s *keySet) key(kid string) *Key {
	if s == nil {
		return nil
	}
	return s.byKid[kid]
}

// parseKeys reads a JWKS (RFC 7517 §5). Keys that cannot sign access tokens are passed over; a kid that names two keys
// names none.
func parseKeys(text []byte, at time.Time) (*keySet, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &doc); err != nil || len(doc.Keys) > maxKeys {
		return nil, errors.New("not a JSON Web Key Set")
	}
	set, twice := &keySet{byKid: map[string]*Key{}, fetched: at}, map[string]bool{}
	for _, raw := range doc.Keys {
		k, err := parseKey(raw)
		if err != nil {
			continue
		}
		if set.byKid[k.kid] != nil {
			twice[k.kid] = true
		}
		set.byKid[k.kid] = k
	}
	for kid := range twice {
		delete(set.byKid, kid)
	}
	if len(set.byKid) == 0 {
		return nil, errors.New("the JSON Web Key Set has no usable signature key")
	}
	return set, nil
}

var errUnusable = errors.New("not a usable public signature key")

func parseKey(raw json.RawMessage) (*Key, error) {
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(raw); err != nil {
		return nil, err
	}
	if !jwk.Valid() || !jwk.IsPublic() || jwk.KeyID == "" || len(jwk.KeyID) > maxKid || jwk.Use != "" && jwk.Use != "sig" {
		return nil, errUnusable
	}
	algs := algorithmsOf(jwk.Key)
	if jwk.Algorithm != "" {
		if !slices.Contains(algs, jose.SignatureAlgorithm(jwk.Algorithm)) {
			return nil, errUnusable
		}
		algs = []jose.SignatureAlgorithm{jose.SignatureAlgorithm(jwk.Algorithm)}
	}
	if len(algs) == 0 {
		return nil, errUnusable
	}
	sum, err := jwk.Thumbprint(thumbHash)
	if err != nil {
		return nil, err
	}
	return &Key{kid: jwk.KeyID, algs: algs, jwk: jwk, thum: string(sum)}, nil
}

// algorithmsOf says what a key of this type may sign with: the key decides, never the token (RFC 8725 §3.1).
func algorithmsOf(public any) []jose.SignatureAlgorithm {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return []jose.SignatureAlgorithm{jose.ES256}
		}
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSABits {
			return []jose.SignatureAlgorithm{jose.RS256, jose.PS256}
		}
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	}
	return nil
}
