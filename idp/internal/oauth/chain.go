package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/ory/fosite"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
)

// work travels with one request through fosite's handlers: what they read comes from it, what they would write stays in it
// until our own commit.
type work struct {
	party party // who the request is for, already authenticated at the token endpoint

	issued string // the code that was made at the authorization endpoint

	hash     [32]byte    // of the code that is redeemed
	code     *grant.Code // what it stands for
	reused   string      // the grant of a code that was redeemed before
	verified bool        // the PKCE handler was reached: from here on a failure kills the code
}

type workKey struct{}

func withWork(ctx context.Context, w *work) context.Context {
	return context.WithValue(ctx, workKey{}, w)
}

func workOf(ctx context.Context) *work {
	if w, ok := ctx.Value(workKey{}).(*work); ok {
		return w
	}
	return &work{}
}

// authenticated hands fosite the client that we authenticated.
func authenticated(ctx context.Context, _ *http.Request, _ url.Values) (fosite.Client, error) {
	if w := workOf(ctx); w.party.Entry != nil {
		return w.party, nil
	}
	return nil, fosite.ErrInvalidClient
}

// codeStrategy makes and checks codes. Access and refresh tokens are never made by fosite.
type codeStrategy struct{ p *Provider }

// AuthorizeCodeSignature implements oauth2.AuthorizeCodeStrategy.
func (codeStrategy) AuthorizeCodeSignature(_ context.Context, code string) string {
	h := ident.Hash(code)
	return string(h[:])
}

// GenerateAuthorizeCode implements oauth2.AuthorizeCodeStrategy.
func (s codeStrategy) GenerateAuthorizeCode(ctx context.Context, _ fosite.Requester) (code, signature string, err error) {
	code = ident.NewToken(ident.AuthorizationCode)
	workOf(ctx).issued = code
	return code, s.AuthorizeCodeSignature(ctx, code), nil
}

// ValidateAuthorizeCode implements oauth2.AuthorizeCodeStrategy: form and age.
func (s codeStrategy) ValidateAuthorizeCode(ctx context.Context, _ fosite.Requester, code string) error {
	w, now := workOf(ctx), s.p.Clock.Now()
	if !ident.IsToken(ident.AuthorizationCode, code) || w.code == nil || !now.Before(w.code.ExpiresAt) || clock.Future(w.code.Grant.At, now) {
		return errInvalidGrant
	}
	return nil
}

// AccessTokenSignature implements oauth2.AccessTokenStrategy.
func (codeStrategy) AccessTokenSignature(context.Context, string) string { return "" }

// GenerateAccessToken implements oauth2.AccessTokenStrategy.
func (codeStrategy) GenerateAccessToken(context.Context, fosite.Requester) (string, string, error) {
	return "", "", errNotOurs
}

// ValidateAccessToken implements oauth2.AccessTokenStrategy.
func (codeStrategy) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return errNotOurs
}

// RefreshTokenSignature implements oauth2.RefreshTokenStrategy.
func (codeStrategy) RefreshTokenSignature(context.Context, string) string { return "" }

// GenerateRefreshToken implements oauth2.RefreshTokenStrategy.
func (codeStrategy) GenerateRefreshToken(context.Context, fosite.Requester) (string, string, error) {
	return "", "", errNotOurs
}

// ValidateRefreshToken implements oauth2.RefreshTokenStrategy.
func (codeStrategy) ValidateRefreshToken(context.Context, fosite.Requester, string) error {
	return errNotOurs
}

// chain is fosite's storage. It reads codes and stages what was found in the request's work; it writes nothing.
type chain struct{ p *Provider }

// GetClient implements fosite.ClientManager.
func (*chain) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	if w := workOf(ctx); w.party.Entry != nil && w.party.ID == id {
		return w.party, nil
	}
	return nil, fosite.ErrNotFound
}

// ClientAssertionJWTValid implements fosite.ClientManager.
func (*chain) ClientAssertionJWTValid(context.Context, string) error { return errNotOurs }

// SetClientAssertionJWT implements fosite.ClientManager.
func (*chain) SetClientAssertionJWT(context.Context, string, time.Time) error { return errNotOurs }

// CreateAuthorizeCodeSession implements oauth2.AuthorizeCodeStorage: the record is written by issue.
func (*chain) CreateAuthorizeCodeSession(context.Context, string, fosite.Requester) error { return nil }

// GetAuthorizeCodeSession implements oauth2.AuthorizeCodeStorage.
func (c *chain) GetAuthorizeCodeSession(ctx context.Context, signature string, _ fosite.Session) (fosite.Requester, error) {
	w := workOf(ctx)
	copy(w.hash[:], signature)
	code, err := c.p.Codes.GetCode(ctx, w.hash)
	if errors.Is(err, grant.ErrNotFound) {
		return c.spent(ctx, w)
	}
	if err != nil {
		return nil, err
	}
	w.code = &code
	return requester(code), nil
}

// spent looks for the tombstone of a code whose record is gone.
func (c *chain) spent(ctx context.Context, w *work) (fosite.Requester, error) {
	ref, was, err := c.p.Spent.Spent(ctx, spendCode, w.hash)
	switch {
	case err != nil:
		return nil, err
	case !was:
		return nil, fosite.ErrNotFound
	}
	w.reused = ref
	return &fosite.Request{ID: ref, Session: &bearerless{}}, fosite.ErrInvalidatedAuthorizeCode
}

// InvalidateAuthorizeCodeSession implements oauth2.AuthorizeCodeStorage: the commit spends the code.
func (*chain) InvalidateAuthorizeCodeSession(context.Context, string) error { return errNotOurs }

// GetPKCERequestSession implements pkce.PKCERequestStorage. There is one record of a code, so that nothing about it can be
// deleted before the rest is checked.
func (*chain) GetPKCERequestSession(ctx context.Context, _ string, _ fosite.Session) (fosite.Requester, error) {
	w := workOf(ctx)
	if w.code == nil {
		return nil, fosite.ErrNotFound
	}
	w.verified = true
	return requester(*w.code), nil
}

// CreatePKCERequestSession implements pkce.PKCERequestStorage.
func (*chain) CreatePKCERequestSession(context.Context, string, fosite.Requester) error { return nil }

// DeletePKCERequestSession implements pkce.PKCERequestStorage: nothing is deleted before the verifier was checked.
func (*chain) DeletePKCERequestSession(context.Context, string) error { return nil }

// requester is the authorization request that a code came of, as far as fosite compares with it.
func requester(c grant.Code) fosite.Requester {
	form := url.Values{"code_challenge": {c.Challenge}, "code_challenge_method": {"S256"}}
	if c.RedirectURI != "" {
		form.Set("redirect_uri", c.RedirectURI)
	}
	return &fosite.Request{
		ID: c.Grant.ID, Client: &fosite.DefaultClient{ID: c.Grant.Client}, Form: form, Session: &bearerless{},
		RequestedScope: c.Grant.Scopes, GrantedScope: c.Grant.Scopes,
	}
}

// RevokeRefreshToken implements oauth2.TokenRevocationStorage: the second use of a code is answered by redeemAgain.
func (*chain) RevokeRefreshToken(context.Context, string) error { return nil }

// RevokeAccessToken implements oauth2.TokenRevocationStorage.
func (*chain) RevokeAccessToken(context.Context, string) error { return nil }

// CreateAccessTokenSession implements oauth2.AccessTokenStorage.
func (*chain) CreateAccessTokenSession(context.Context, string, fosite.Requester) error {
	return errNotOurs
}

// GetAccessTokenSession implements oauth2.AccessTokenStorage.
func (*chain) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, errNotOurs
}

// DeleteAccessTokenSession implements oauth2.AccessTokenStorage.
func (*chain) DeleteAccessTokenSession(context.Context, string) error { return errNotOurs }

// CreateRefreshTokenSession implements oauth2.RefreshTokenStorage.
func (*chain) CreateRefreshTokenSession(context.Context, string, string, fosite.Requester) error {
	return errNotOurs
}

// GetRefreshTokenSession implements oauth2.RefreshTokenStorage.
func (*chain) GetRefreshTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, errNotOurs
}

// DeleteRefreshTokenSession implements oauth2.RefreshTokenStorage.
func (*chain) DeleteRefreshTokenSession(context.Context, string) error { return errNotOurs }

// RotateRefreshToken implements oauth2.RefreshTokenStorage.
func (*chain) RotateRefreshToken(context.Context, string, string) error { return errNotOurs }
