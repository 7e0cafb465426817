package accesstoken

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/feed"
	"ellis.example/caseservice/internal/issuer"
)

const (
	// skew is how far the issuer's clock may be ahead of ours. There is none in the other direction: a token is dead at
	// its end.
	skew = 10 * time.Second
	// maxLife bounds what a token may ask to be believed for: its revocation is remembered for no longer.
	maxLife = feed.MaxTokenLife

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

// callerOf checks all claims of a token (RFC 9068 §2.2, §4) and returns who it speaks of, and when it was issued, in seconds
// since 1970. The caller's signature check decides whether any of it is true.
func (v *Verifier) callerOf(claims map[string]json.RawMessage, now time.Time) (*cases.Caller, int64, error) {
	if err := v.checkAddress(claims); err != nil {
		return nil, 0, err
	}
	issued, expires, err := checkTimes(claims, now)
	if err != nil {
		return nil, 0, err
	}
	c := &cases.Caller{Expires: time.Unix(expires, 0).UTC()}
	for _, m := range []struct {
		name     string
		into     *string
		required bool
	}{
		{"sub", &c.Sub, true}, {"client_id", &c.ClientID, true}, {"jti", &c.JTI, true},
		{"txn", &c.Txn, false}, {"sid", &c.SID, false}, {"acr", &c.ACR, false},
	} {
		if *m.into, err = issuer.Visible(claims, m.name, maxText); err != nil {
			return nil, 0, err
		}
		if m.required && *m.into == "" {
			return nil, 0, issuer.ErrMissing
		}
	}
	at, ok, err := issuer.Seconds(claims, "auth_time")
	if err != nil {
		return nil, 0, err
	}
	if ok {
		c.AuthTime = time.Unix(at, 0).UTC()
	}
	c.Scopes, err = scopesOf(claims)
	return c, issued, err
}

// checkAddress checks who made the token, for whom, and that it needs no proof of possession (RFC 9449 §7.2: a bound
// token never passes as a bearer token).
func (v *Verifier) checkAddress(claims map[string]json.RawMessage) error {
	iss, err := issuer.String(claims, "iss")
	if err != nil {
		return err
	}
	if iss != v.issuer.URL() {
		return errIssuer
	}
	if aud, ok := issuer.SoleAudience(claims); !ok || aud != v.audience {
		return errAudience
	}
	if _, bound := claims["cnf"]; bound {
		return errBound
	}
	return nil
}

// checkTimes returns when the token was issued and when it ends, in seconds since 1970.
func checkTimes(claims map[string]json.RawMessage, now time.Time) (iat, exp int64, err error) {
	exp, hasExp, err1 := issuer.Seconds(claims, "exp")
	iat, hasIat, err2 := issuer.Seconds(claims, "iat")
	nbf, hasNbf, err3 := issuer.Seconds(claims, "nbf")
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, 0, issuer.ErrType
	}
	if !hasExp || !hasIat {
		return 0, 0, issuer.ErrMissing
	}
	latest := now.Add(skew)
	switch {
	case !now.Before(time.Unix(exp, 0)):
		return 0, 0, errExpired
	case time.Unix(iat, 0).After(latest), hasNbf && time.Unix(nbf, 0).After(latest):
		return 0, 0, errEarly
	case exp-iat > int64(maxLife/time.Second):
		return 0, 0, errLife
	}
	return iat, exp, nil
}

func scopesOf(claims map[string]json.RawMessage) ([]string, error) {
	text, err := issuer.String(claims, "scope")
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
