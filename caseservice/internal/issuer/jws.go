package issuer

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/caseservice/internal/strictjson"
)

// MaxJWS is the longest JWS that is read at all, in bytes. Those of the issuer have about 900.
const MaxJWS = 8 << 10

const (
	maxHeader = 1 << 10
	maxKid    = 128
)

// algorithms is the allow-list (RFC 8725 §3.1). No `none`, no MAC: neither can ever be a key's algorithm.
var algorithms = map[string]jose.SignatureAlgorithm{
	"ES256": jose.ES256, "RS256": jose.RS256, "PS256": jose.PS256, "EdDSA": jose.EdDSA,
}

// refusedHeaders would bring a key, another meaning or compression with the JWS itself (RFC 8725 §3.10, RFC 7515 §4.1.11).
var refusedHeaders = []string{"crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc", "p2c", "p2s", "epk"}

// What can be wrong with a JWS. The texts are safe to show.
var (
	ErrSize      = errors.New("the token is too long")
	errCompact   = errors.New("not three strict base64url parts")
	errAlg       = errors.New("signed with an algorithm that is not accepted")
	errHeader    = errors.New("a header parameter is not accepted")
	errKid       = errors.New("no usable kid")
	errSignature = errors.New("the signature does not verify")
)

// JWS is a signed object taken apart. Nothing of it is true before Verify said so.
type JWS struct {
	KID    string
	Claims map[string]json.RawMessage
	text   string
	signed string // the part of the text that the signature is over
	sig    []byte
	alg    jose.SignatureAlgorithm
}

// Parse takes a JWS in compact serialization apart, strictly: there is one text for one JWS (RFC 7515 §7.1). Its typ has to
// be one of types (RFC 8725 §3.11). Errors say what is wrong, and are safe to show.
func Parse(text string, types ...string) (JWS, error) {
	j := JWS{text: text}
	if len(text) > MaxJWS {
		return j, ErrSize
	}
	head, rest, _ := strings.Cut(text, ".")
	body, sig, two := strings.Cut(rest, ".")
	if !two || strings.Contains(sig, ".") || len(head) > maxHeader {
		return j, errCompact
	}
	header, err1 := decode(head)
	payload, err2 := decode(body)
	var err error
	if j.sig, err = decode(sig); err != nil || err1 != nil || err2 != nil || sig == "" {
		return j, errCompact
	}
	j.signed = text[:len(head)+1+len(body)]
	if err := j.readHeader(header, types); err != nil {
		return j, err
	}
	j.Claims, err = strictjson.Object(payload)
	return j, err
}

func (j *JWS) readHeader(text []byte, types []string) error {
	h, err := strictjson.Object(text)
	if err != nil {
		return err
	}
	typ, err := String(h, "typ")
	if err != nil || !slices.Contains(types, typ) {
		return fmt.Errorf("typ has to be %s", types[0])
	}
	alg, err := String(h, "alg")
	known, ok := algorithms[alg]
	if err != nil || !ok {
		return errAlg
	}
	for _, name := range refusedHeaders {
		if _, ok := h[name]; ok {
			return errHeader
		}
	}
	kid, err := Visible(h, "kid", maxKid)
	if err != nil || kid == "" {
		return errKid
	}
	j.alg, j.KID = known, kid
	return nil
}

// Verify checks the signature with the one algorithm that both the header names and the key allows.
func (j JWS) Verify(k *Key) error {
	if !slices.Contains(k.algs, j.alg) {
		return errAlg
	}
	if public, is := k.jwk.Key.(*ecdsa.PublicKey); is {
		return j.verifyES256(public)
	}
	jws, err := jose.ParseSignedCompact(j.text, []jose.SignatureAlgorithm{j.alg})
	if err != nil {
		return errCompact
	}
	if _, err := jws.Verify(&k.jwk); err != nil {
		return errSignature
	}
	return nil
}

// verifyES256 checks a signature by a key of P-256 (RFC 7518 §3.4), which is what nearly all are by: the library would take the
// text apart once more.
func (j JWS) verifyES256(public *ecdsa.PublicKey) error {
	const half = 32
	if len(j.sig) != 2*half {
		return errSignature
	}
	digest := sha256.Sum256([]byte(j.signed))
	r, s := new(big.Int).SetBytes(j.sig[:half]), new(big.Int).SetBytes(j.sig[half:])
	if !ecdsa.Verify(public, digest[:], r, s) {
		return errSignature
	}
	return nil
}

var base64url = base64.RawURLEncoding.Strict()

// decode reads unpadded base64url without line breaks (which the library skips) and without stray trailing bits.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errCompact
	}
	return base64url.DecodeString(s)
}
