package client

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// AssertionAlgorithms are the algorithms a client may sign its assertions with (RFC 8725 §3.1).
var AssertionAlgorithms = []string{"ES256", "PS256", "EdDSA", "RS256"}

const (
	maxKeySet = 32 << 10
	maxKeys   = 20
	maxKeyID  = 128
	minRSA    = 2048
)

// KeySet is a JWK Set as it was written (RFC 7517 §5). In YAML it is an ordinary mapping.
type KeySet json.RawMessage

// MarshalJSON implements json.Marshaler.
func (k KeySet) MarshalJSON() ([]byte, error) { return json.RawMessage(k).MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (k *KeySet) UnmarshalJSON(b []byte) error { *k = append((*k)[:0], b...); return nil }

// UnmarshalYAML reads a mapping.
func (k *KeySet) UnmarshalYAML(unmarshal func(any) error) error {
	var m map[string]any
	if err := unmarshal(&m); err != nil {
		return err
	}
	b, err := json.Marshal(m)
	*k = b
	return err
}

// parseKeys reads public signing keys and refuses everything else: private or symmetric keys, weak ones, points that are
// not on their curve.
func parseKeys(raw KeySet) ([]jose.JSONWebKey, error) {
	if len(raw) > maxKeySet {
		return nil, fmt.Errorf("the set is larger than %d bytes", maxKeySet)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("it is no JWK Set: " + err.Error())
	}
	if len(set.Keys) == 0 || len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("it has %d keys, give 1 to %d", len(set.Keys), maxKeys)
	}
	seen := map[string]bool{}
	for i, k := range set.Keys {
		if why := weakness(k); why != "" {
			return nil, fmt.Errorf("key %d: %s", i+1, why)
		}
		if seen[k.KeyID] || (k.KeyID == "" && len(set.Keys) > 1) {
			return nil, fmt.Errorf("key %d: its kid is empty or taken; give each key its own", i+1)
		}
		seen[k.KeyID] = true
	}
	return set.Keys, nil
}

func weakness(k jose.JSONWebKey) string {
	if !k.Valid() || !k.IsPublic() {
		return "give the public part only"
	}
	if len(k.KeyID) > maxKeyID || (k.Use != "" && k.Use != "sig") {
		return "kid has at most 128 bytes, use is sig or absent"
	}
	switch p := k.Key.(type) {
	case *rsa.PublicKey:
		if p.N.BitLen() < minRSA || p.E < 3 {
			return "RSA keys have at least 2048 bits"
		}
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return "EC keys are on P-256"
		}
	case ed25519.PublicKey:
	default:
		return "keys are RSA, EC P-256 or Ed25519"
	}
	return ""
}

// fits reports whether a key can be used with an algorithm.
func fits(k jose.JSONWebKey, alg string) bool {
	if k.Algorithm != "" && k.Algorithm != alg {
		return false
	}
	switch k.Key.(type) {
	case *rsa.PublicKey:
		return alg == "RS256" || alg == "PS256"
	case *ecdsa.PublicKey:
		return alg == "ES256"
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}
