package oauth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/idp/internal/client"
)

// assertionType is the client_assertion_type of private_key_jwt (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Limits of client assertions.
const (
	maxAssertion     = 8 << 10 // bytes
	maxKeyID         = 128     // bytes
	maxJTI           = 256     // bytes
	assertionLife    = time.Hour
	assertionSkew    = 10 * time.Second
	maxAssertionTime = 1 << 40 // seconds: keeps arithmetic on times in range
)

var errAssertion = errors.New("client assertion")

// assertion is a client assertion (RFC 7523 §3) whose signature is not checked yet.
type assertion struct {
	jws *jose.JSONWebSignature
	kid string
	alg string

	issuer, subject, jti string
	audience             []string
	expires, issued      float64
	notBefore            float64
}

var assertionAlgs = func() []jose.SignatureAlgorithm {
	out := make([]jose.SignatureAlgorithm, len(client.AssertionAlgorithms))
	for i, a := range client.AssertionAlgorithms {
		out[i] = jose.SignatureAlgorithm(a)
	}
	return out
}()

// readAssertion parses a compact JWS of an allowed algorithm, strictly: one text for one token, each claim once and of its
// type.
func readAssertion(raw string) (assertion, error) {
	if len(raw) > maxAssertion || !canonicalJWS(raw) {
		return assertion{}, errAssertion
	}
	jws, err := jose.ParseSignedCompact(raw, assertionAlgs)
	if err != nil || len(jws.Signatures) != 1 {
		return assertion{}, errAssertion
	}
	h := jws.Signatures[0].Protected
	typ, _ := h.ExtraHeaders[jose.HeaderType].(string)
	if len(h.KeyID) > maxKeyID || (typ != "" && !strings.EqualFold(typ, "JWT") && typ != "client-authentication+jwt") {
		return assertion{}, errAssertion
	}
	claims, err := strictObject(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return assertion{}, err
	}
	a := assertion{jws: jws, kid: h.KeyID, alg: h.Algorithm}
	return a, a.fill(claims)
}

// fill reads the claims that count.
func (a *assertion) fill(claims map[string]any) error {
	for name, to := range map[string]*string{"iss": &a.issuer, "sub": &a.subject, "jti": &a.jti} {
		s, ok := claims[name].(string)
		if !ok || s == "" || len(s) > maxJTI {
			return errAssertion
		}
		*to = s
	}
	for name, to := range map[string]*float64{"exp": &a.expires, "iat": &a.issued, "nbf": &a.notBefore} {
		v, there := claims[name]
		f, ok := v.(float64)
		if (there && !ok) || (!there && name == "exp") || math.IsNaN(f) || math.Abs(f) > maxAssertionTime {
			return errAssertion
		}
		*to = f
	}
	switch aud := claims["aud"].(type) {
	case string:
		a.audience = []string{aud}
	case []any:
		for _, one := range aud {
			s, ok := one.(string)
			if !ok {
				return errAssertion
			}
			a.audience = append(a.audience, s)
		}
	}
	return nil
}

// good reports whether the claims hold: issued by and about the client, for one of our names alone, not expired, not of the
// future, and not good for longer than an hour.
func (a assertion) good(clientID string, audiences []string, now time.Time) bool {
	if a.issuer != clientID || a.subject != clientID || len(a.audience) != 1 || !slices.Contains(audiences, a.audience[0]) {
		return false
	}
	t, skew := float64(now.UnixMicro())/1e6, assertionSkew.Seconds()
	return a.expires > t-skew && a.expires <= t+assertionLife.Seconds()+skew && a.issued <= t+skew && a.notBefore <= t+skew
}

// signedBy reports whether one of the client's keys made the signature.
func (a assertion) signedBy(c *client.Entry) bool {
	if c.TokenEndpointAuthAlg != "" && a.alg != c.TokenEndpointAuthAlg {
		return false
	}
	for _, k := range c.Keys(a.kid, a.alg) {
		if _, err := a.jws.Verify(k.Key); err == nil {
			return true
		}
	}
	return false
}

// until is when a replay would be refused for its age: the tombstone of the jti outlives it.
func (a assertion) until() time.Time {
	return time.Unix(int64(a.expires)+1, 0).UTC().Add(2 * assertionSkew)
}

// canonicalJWS takes three parts of base64url without padding, line breaks or stray bits.
func canonicalJWS(raw string) bool {
	if strings.Count(raw, ".") != 2 || strings.ContainsAny(raw, "\r\n") {
		return false
	}
	for part := range strings.SplitSeq(raw, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); part == "" || err != nil {
			return false
		}
	}
	return true
}

// strictObject decodes one JSON object whose members have distinct names (RFC 7519 §4).
func strictObject(b []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errAssertion
	}
	out := map[string]any{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errAssertion
		}
		if _, twice := out[name]; twice {
			return nil, errAssertion
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, errAssertion
		}
		out[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, errAssertion
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errAssertion
	}
	return out, nil
}
