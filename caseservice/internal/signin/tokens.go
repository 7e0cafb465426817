package signin

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/ident"
)

const (
	skew          = 10 * time.Second // between the issuer's clock and ours
	earlyRenewal  = 20 * time.Second // an access token is renewed so long before its end
	revokeTimeout = 2 * time.Second
	saveTimeout   = 2 * time.Second // for what the issuer gave, whatever is left of the time for asking it
)

// signingAlgs are the algorithms that an ID token may have.
var signingAlgs = []string{oidc.ES256, oidc.RS256, oidc.PS256, oidc.EdDSA}

// redeem turns a code into a session. Errors: ErrAttemptUnknown, ErrMismatch, ErrOtherPerson, ErrTooWeak, ErrUnavailable, ErrConfig.
func (g *Gate) redeem(ctx context.Context, m *metadata, a Attempt, code string) (Session, error) {
	ctx = oidc.ClientContext(ctx, g.provider.http)
	tok, err := g.oauth(m).Exchange(ctx, code, oauth2.VerifierOption(a.Verifier), oauth2.SetAuthURLParam("resource", g.cfg.Resource))
	if err != nil {
		return Session{}, tokenFault(err, ErrAttemptUnknown)
	}
	if !strings.EqualFold(tok.TokenType, "Bearer") {
		return Session{}, ErrMismatch.Because(errors.New("the access token is of no kind that was asked for"))
	}
	id, err := g.idToken(ctx, m, tok)
	if err != nil {
		return Session{}, err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return Session{}, ErrMismatch.Because(errors.New("the nonce is not that of the request"))
	}
	if a.Subject != "" && id.Subject != a.Subject {
		return Session{}, ErrOtherPerson
	}
	now := g.cfg.Clock.Now()
	if err := id.satisfies(a, now); err != nil {
		return Session{}, err
	}
	return Session{
		ID: ident.New("pse"), Issuer: id.Issuer, Subject: id.Subject, SID: id.SID, ACR: id.ACR, AuthTime: id.authTime(), CreatedAt: now, LastSeen: now,
		Tokens: Tokens{Access: tok.AccessToken, AccessExpires: now.Add(lifetime(tok)), Refresh: tok.RefreshToken}, Claim: a.Claim.of(id.Subject),
	}, nil
}

// lifetime is how long an access token lasts by its expires_in, which is recommended only (RFC 6749 §5.1).
func lifetime(tok *oauth2.Token) time.Duration {
	if tok.ExpiresIn <= 0 {
		return earlyRenewal + time.Minute
	}
	return time.Duration(tok.ExpiresIn) * time.Second
}

// idToken is a verified ID token with the claims that the library leaves alone.
type idToken struct {
	*oidc.IDToken
	extraClaims
}

type extraClaims struct {
	ACR      string `json:"acr"`
	AuthTime int64  `json:"auth_time"`
	AZP      string `json:"azp"`
	SID      string `json:"sid"`
}

func (t idToken) authTime() time.Time {
	if t.AuthTime == 0 {
		return time.Time{}
	}
	return time.Unix(t.AuthTime, 0).UTC()
}

// idToken verifies the ID token of a token answer (OpenID Connect Core §3.1.3.7).
func (g *Gate) idToken(ctx context.Context, m *metadata, tok *oauth2.Token) (idToken, error) {
	raw, _ := tok.Extra("id_token").(string)
	if raw == "" {
		return idToken{}, ErrMismatch.Because(errors.New("no ID token"))
	}
	v := m.oidc.Verifier(&oidc.Config{ClientID: g.cfg.ClientID, SupportedSigningAlgs: signingAlgs, Now: func() time.Time { return g.cfg.Clock.Now().Add(-skew) }})
	t, err := v.Verify(ctx, raw)
	if err != nil {
		return idToken{}, verifyFault(ctx, err)
	}
	out := idToken{IDToken: t}
	if err := t.Claims(&out.extraClaims); err != nil {
		return idToken{}, ErrMismatch.Because(err)
	}
	switch {
	case !slices.Equal(t.Audience, []string{g.cfg.ClientID}), out.AZP != "" && out.AZP != g.cfg.ClientID:
		return idToken{}, ErrMismatch.Because(errors.New("the ID token is for others too"))
	case t.Subject == "" || len(t.Subject) > 255:
		return idToken{}, ErrMismatch.Because(errors.New("the ID token names nobody"))
	case t.AccessTokenHash != "" && t.VerifyAccessToken(tok.AccessToken) != nil:
		return idToken{}, ErrMismatch.Because(errors.New("the ID token belongs to another access token"))
	}
	return out, nil
}

// noKeys begins the library's error for keys that it could not fetch; it wraps nothing that could be asked for.
const noKeys = "failed to verify signature: fetching keys "

// verifyFault tells an ID token that is wrong from keys that cannot be had at the moment.
func verifyFault(ctx context.Context, err error) error {
	if strings.HasPrefix(err.Error(), noKeys) || ctx.Err() != nil {
		return ErrUnavailable.Because(err).After(metadataPause)
	}
	return ErrMismatch.Because(err)
}

// satisfies checks strength and age of a sign-in against what was asked for: the issuer may have answered with less.
func (t idToken) satisfies(a Attempt, now time.Time) error {
	if len(a.ACR) > 0 && !slices.Contains(a.ACR, t.ACR) {
		return ErrTooWeak.Because(fmt.Errorf("acr is %q", t.ACR))
	}
	if a.MaxAge != nil {
		if age := now.Sub(t.authTime()); t.AuthTime == 0 || age > *a.MaxAge+skew {
			return ErrTooWeak.Because(fmt.Errorf("the sign-in is %v old", age))
		}
	}
	if t.authTime().After(now.Add(time.Minute)) {
		return ErrMismatch.Because(errors.New("auth_time lies in the future"))
	}
	return nil
}

// tokenFault is the fault for an error of the token endpoint. refused is what an invalid grant means.
func tokenFault(err error, refused *fault.Error) error {
	var re *oauth2.RetrieveError
	if !errors.As(err, &re) {
		return ErrUnavailable.Because(err).After(metadataPause)
	}
	status := 0
	if re.Response != nil {
		status = re.Response.StatusCode
	}
	why := fmt.Errorf("token endpoint: %d %.64q %.200q", status, re.ErrorCode, re.ErrorDescription) // never the body
	switch {
	case re.ErrorCode == "invalid_grant":
		return refused.Because(why)
	case status >= 500 || status == http.StatusTooManyRequests || re.ErrorCode == "temporarily_unavailable" || re.ErrorCode == "":
		return ErrUnavailable.Because(why).After(metadataPause)
	}
	return ErrConfig.Because(why)
}

// AccessToken returns an access token for the case API, renewed if its end is near. refused is one that the API did not
// take: it is renewed whatever its end is. Errors: ErrSessionEnded, ErrUnavailable, ErrConfig.
func (g *Gate) AccessToken(ctx context.Context, v Visit, refused string) (string, error) {
	if g.good(v.Tokens, refused) {
		return v.Tokens.Access, nil
	}
	// One renewal at a time and session: a refresh token may be used once. Within the process, requests wait for each other;
	// between processes, whoever holds the lease.
	token, err, _ := g.renewals.Do(string(v.Key[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpTimeout)
		defer cancel()
		return g.renew(ctx, v.Key, refused)
	})
	if err != nil {
		return "", err
	}
	return token.(string), nil
}

func (g *Gate) good(t Tokens, refused string) bool {
	return t.Access != refused && g.cfg.Clock.Now().Add(earlyRenewal).Before(t.AccessExpires)
}

// leasePause is how long to wait before another look at a session that somebody else renews.
const leasePause = 25 * time.Millisecond

// renew returns a good access token: one that somebody else just got, or a new one.
func (g *Gate) renew(ctx context.Context, k Key, refused string) (string, error) {
	for {
		s, err := g.cfg.Store.Session(ctx, k)
		switch {
		case errors.Is(err, ErrNoSession) || err == nil && !s.Alive(g.cfg.Clock.Now()):
			return "", ErrSessionEnded
		case err != nil:
			return "", err
		case g.good(s.Tokens, refused):
			return s.Tokens.Access, nil
		}
		release, ours, err := g.cfg.Store.HoldRenewal(ctx, k)
		if err != nil {
			return "", err
		}
		if ours {
			return g.renewHeld(ctx, k, refused, release)
		}
		select {
		case <-ctx.Done():
			return "", ErrUnavailable.Because(ctx.Err()).After(metadataPause)
		case <-time.After(leasePause):
		}
	}
}

// renewHeld asks the issuer for new tokens, unless whoever had the lease before just did. It leaves LastSeen alone: that a
// token can be renewed says nothing of a person (NIST SP 800-63B-4 §5.2).
func (g *Gate) renewHeld(ctx context.Context, k Key, refused string, release func()) (string, error) {
	defer release()
	s, err := g.cfg.Store.Session(ctx, k)
	switch {
	case errors.Is(err, ErrNoSession):
		return "", ErrSessionEnded
	case err != nil:
		return "", err
	case g.good(s.Tokens, refused):
		return s.Tokens.Access, nil
	}
	m, err := g.provider.get(ctx)
	if err != nil {
		return "", err
	}
	fresh, err := g.refresh(ctx, m, s)
	if err != nil {
		g.cfg.Observe("renewal", fault.Of(err).Code)
		if errors.Is(err, ErrSessionEnded) {
			_, _ = g.cfg.Store.EndSession(ctx, k) // it is over either way
		}
		return "", err
	}
	g.cfg.Observe("renewal", "ok")
	// The issuer may have taken all the time that there was; the old refresh token is used up all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	_, err = g.cfg.Store.UpdateSession(ctx, k, func(s *Session) { s.Tokens = fresh })
	if errors.Is(err, ErrNoSession) {
		g.revoke(ctx, m, fresh) // the person signed out meanwhile
		return "", ErrSessionEnded.Because(err)
	}
	return fresh.Access, err
}

// refresh uses the refresh token (RFC 6749 §6). An ID token that comes with the answer must speak of the same person
// (OpenID Connect Core §12.2). Errors: ErrSessionEnded when the issuer takes it no more.
func (g *Gate) refresh(ctx context.Context, m *metadata, s Session) (Tokens, error) {
	if s.Tokens.Refresh == "" {
		return Tokens{}, ErrSessionEnded.Because(errors.New("the access token ended and there is no refresh token"))
	}
	ctx = oidc.ClientContext(ctx, g.provider.http)
	tok, err := g.oauth(m).TokenSource(ctx, &oauth2.Token{RefreshToken: s.Tokens.Refresh}).Token()
	if err != nil {
		return Tokens{}, tokenFault(err, ErrSessionEnded)
	}
	out := Tokens{Access: tok.AccessToken, AccessExpires: g.cfg.Clock.Now().Add(lifetime(tok)), Refresh: tok.RefreshToken}
	if tok.Extra("id_token") == nil {
		return out, nil
	}
	id, err := g.idToken(ctx, m, tok)
	if err != nil {
		return Tokens{}, err
	}
	if id.Subject != s.Subject || (id.AuthTime != 0 && !s.AuthTime.IsZero() && !id.authTime().Equal(s.AuthTime)) {
		return Tokens{}, ErrSessionEnded.Because(errors.New("the renewed ID token speaks of another sign-in"))
	}
	return out, nil
}

// revoke withdraws a refresh token at the issuer (RFC 7009). It is a courtesy: what is not withdrawn ends by itself.
func (g *Gate) revoke(ctx context.Context, m *metadata, t Tokens) {
	if t.Refresh == "" || m.Revocation == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	form := url.Values{"token": {t.Refresh}, "token_type_hint": {"refresh_token"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(g.cfg.ClientID), url.QueryEscape(g.cfg.ClientSecret))
	outcome := "failed"
	if resp, err := g.provider.http.Do(r); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.Body.Close() == nil && resp.StatusCode == http.StatusOK {
			outcome = "ok"
		}
	}
	g.cfg.Observe("revocation", outcome)
}
