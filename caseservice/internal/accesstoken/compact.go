package accesstoken

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/caseservice/internal/strictjson"
)

// Limits of what is read at all. A token of the issuer has about 900 bytes.
const (
	maxToken  = 8 << 10
	maxHeader = 1 << 10
	maxKid    = 128
)

// algorithms is the allow-list (RFC 8725 §3.1). No `none`, no MAC: neither can ever be a key's algorithm.
var algorithms = map[string]jose.SignatureAlgorithm{
	"ES256": jose.ES256, "RS256": jose.RS256, "PS256": jose.PS256, "EdDSA": jose.EdDSA,
}

// refusedHeaders would bring a key, another meaning or compression with the token itself (RFC 8725 §3.10, RFC 7515 §4.1.11).
var refusedHeaders = []string{"crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc", "p2c", "p2s", "epk"}

var (
	errSize    = errors.New("the token is too long")
	errCompact = errors.New("not three strict base64url parts")
	errType    = errors.New("not an access token: typ has to be at+jwt")
	errAlg     = errors.New("signed with an algorithm that is not accepted")
	errHeader  = errors.New("a header parameter is not accepted")
	errKid     = errors.New("no usable kid")
)

// compact is a token taken apart, not yet verified.
type compact struct {
	alg    jose.SignatureAlgorithm
	kid    string
	claims map[string]json.RawMessage
}

// parseCompact takes a JWS in compact serialization apart, strictly: there is one text for one token (RFC 7515 §7.1).
func parseCompact(token string) (compact, error) {
	var c compact
	if len(token) > maxToken {
		return c, errSize
	}
	head, rest, _ := strings.Cut(token, ".")
	body, sig, two := strings.Cut(rest, ".")
	if !two || strings.Contains(sig, ".") || len(head) > maxHeader {
		return c, errCompact
	}
	header, err1 := decode(head)
	payload, err2 := decode(body)
	if _, err := decode(sig); err != nil || err1 != nil || err2 != nil || sig == "" {
		return c, errCompact
	}
	if err := c.readHeader(header); err != nil {
		return c, err
	}
	var err error
	c.claims, err = strictjson.Object(payload)
	return c, err
}

func (c *compact) readHeader(text []byte) error {
	h, err := strictjson.Object(text)
	if err != nil {
		return err
	}
	typ, err := stringMember(h, "typ")
	if err != nil || typ != "at+jwt" && typ != "application/at+jwt" { // RFC 9068 §4
		return errType
	}
	alg, err := stringMember(h, "alg")
	known, ok := algorithms[alg]
	if err != nil || !ok {
		return errAlg
	}
	for _, name := range refusedHeaders {
		if _, ok := h[name]; ok {
			return errHeader
		}
	}
	kid, err := visible(h, "kid", maxKid)
	if err != nil || kid == "" {
		return errKid
	}
	c.alg, c.kid = known, kid
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
