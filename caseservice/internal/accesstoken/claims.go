package accesstoken

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"ellis.example/caseservice/internal/cases"
)

const (
	// skew is how far the issuer's clock may be ahead of ours. There is none in the other direction: a token is dead at
	// its end.
	skew = 10 * time.Second
	// maxLife bounds what a token may ask to be believed for.
	maxLife = 24 * time.Hour

	maxText   = 255
	maxScopes = 64
)

var (
	errIssuer   = errors.New("the token is of another issuer")
	errAudience = errors.New("the token is for another audience")
	errExpired  = errors.New("the token has expired")
	errEarly    = errors.New("the token is not valid yet: compare the clocks")
	errLife     = errors.New("the token's lifetime is too long")
	errBound    = errors.New("the token is bound to a key, and this API takes bearer tokens only")
	errScope    = errors.New("the scope is malformed")
)

// callerOf checks all claims of a token (RFC 9068 §2.2, §4) and returns who it speaks of. The caller's signature check
// decides whether any of it is true.
func (v *Verifier) callerOf(claims map[string]json.RawMessage, now time.Time) (*cases.Caller, error) {
	if err := v.checkAddress(claims); err != nil {
		return nil, err
	}
	expires, err := checkTimes(claims, now)
	if err != nil {
		return nil, err
	}
	c := &cases.Caller{Expires: expires}
	for _, m := range []struct {
		name     string
		into     *string
		required bool
	}{
		{"sub", &c.Sub, true}, {"client_id", &c.ClientID, true}, {"jti", &c.JTI, true},
		{"txn", &c.Txn, false}, {"sid", &c.SID, false}, {"acr", &c.ACR, false},
	} {
		if *m.into, err = visible(claims, m.name, maxText); err != nil {
			return nil, err
		}
		if m.required && *m.into == "" {
			return nil, errMissing
		}
	}
	at, ok, err := seconds(claims, "auth_time")
	if err != nil {
		return nil, err
	}
	if ok {
		c.AuthTime = time.Unix(at, 0).UTC()
	}
	c.Scopes, err = scopesOf(claims)
	return c, err
}

// checkAddress checks who made the token, for whom, and that it needs no proof of possession (RFC 9449 §7.2: a bound
// token never passes as a bearer token).
func (v *Verifier) checkAddress(claims map[string]json.RawMessage) error {
	iss, err := stringMember(claims, "iss")
	if err != nil {
		return err
	}
	if iss != v.issuer {
		return errIssuer
	}
	aud, err := soleAudience(claims["aud"])
	if err != nil {
		return err
	}
	if aud != v.audience {
		return errAudience
	}
	if _, bound := claims["cnf"]; bound {
		return errBound
	}
	return nil
}

// soleAudience returns the one audience. A token for several is refused: each of them could use it at the others.
func soleAudience(raw json.RawMessage) (string, error) {
	var one string
	var many []string
	switch {
	case len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &one) == nil:
		return one, nil
	case len(raw) > 0 && raw[0] == '[' && json.Unmarshal(raw, &many) == nil && len(many) == 1:
		return many[0], nil
	}
	return "", errAudience
}

func checkTimes(claims map[string]json.RawMessage, now time.Time) (expires time.Time, err error) {
	exp, hasExp, err1 := seconds(claims, "exp")
	iat, hasIat, err2 := seconds(claims, "iat")
	nbf, hasNbf, err3 := seconds(claims, "nbf")
	if err := errors.Join(err1, err2, err3); err != nil {
		return expires, errWrongType
	}
	if !hasExp || !hasIat {
		return expires, errMissing
	}
	expires = time.Unix(exp, 0).UTC()
	latest := now.Add(skew)
	switch {
	case !now.Before(expires):
		return expires, errExpired
	case time.Unix(iat, 0).After(latest), hasNbf && time.Unix(nbf, 0).After(latest):
		return expires, errEarly
	case exp-iat > int64(maxLife/time.Second):
		return expires, errLife
	}
	return expires, nil
}

func scopesOf(claims map[string]json.RawMessage) ([]string, error) {
	text, err := stringMember(claims, "scope")
	if err != nil || text == "" {
		return nil, err
	}
	if strings.Count(text, " ") >= maxScopes {
		return nil, errScope
	}
	scopes := strings.Split(text, " ")
	for _, s := range scopes {
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e || r == '"' || r == '\\' }) {
			return nil, errScope
		}
	}
	return scopes, nil
}
