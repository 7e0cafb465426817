package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// compact returns payload as a compact JWS (RFC 7515 §7.1) by a pair of this process. go-jose, which verifies every token and
// makes those of other signers, encodes the same header anew for each: a fifth of what a signature costs.
func (s *signer) compact(typ string, payload []byte) (string, error) {
	head, err := s.header(typ)
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	out := make([]byte, 0, len(head)+1+enc.EncodedLen(len(payload))+1+enc.EncodedLen(roomForSign))
	out = append(append(out, head...), '.')
	out = enc.AppendEncode(out, payload)
	sig, err := s.signature(out)
	if err != nil {
		return "", err
	}
	return string(enc.AppendEncode(append(out, '.'), sig)), nil
}

const (
	p256Size    = 32
	roomForSign = 2 * p256Size // an RSA signature grows beyond it
)

// header returns the encoded header for a typ, made once.
func (s *signer) header(typ string) (string, error) {
	if h, ok := s.byType.Load(typ); ok {
		return h.(string), nil
	}
	b, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
		Type      string `json:"typ"`
	}{s.alg, s.id, typ})
	if err != nil {
		return "", err
	}
	h := base64.RawURLEncoding.EncodeToString(b)
	s.byType.Store(typ, h)
	return h, nil
}

// signature signs in the forms of RFC 7518 §3 and RFC 8037 §3.1.
func (s *signer) signature(input []byte) ([]byte, error) {
	if k, ok := s.private.(ed25519.PrivateKey); ok && s.alg == "EdDSA" {
		return ed25519.Sign(k, input), nil
	}
	digest := sha256.Sum256(input)
	switch k := s.private.(type) {
	case *ecdsa.PrivateKey:
		if s.alg != "ES256" {
			break
		}
		r, t, err := ecdsa.Sign(rand.Reader, k, digest[:])
		if err != nil {
			return nil, err
		}
		sig := make([]byte, 2*p256Size)
		r.FillBytes(sig[:p256Size])
		t.FillBytes(sig[p256Size:])
		return sig, nil
	case *rsa.PrivateKey:
		switch s.alg {
		case "RS256":
			return rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, digest[:])
		case "PS256":
			return rsa.SignPSS(rand.Reader, k, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
	}
	return nil, ErrNoKey.Because(fmt.Errorf("a %T does not sign %s", s.private, s.alg))
}
