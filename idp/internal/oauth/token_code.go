package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/unit"
)

// redeem exchanges a code (RFC 6749 §4.1.3). Fosite's handlers check client, redirect URI and verifier; one commit spends the
// code, begins the refresh family and records the token, on condition that the grant stands.
func (p *Provider) redeem(r *http.Request, c *caller, form url.Values) (tokenAnswer, error) {
	ctx := r.Context()
	if !ident.IsToken(ident.AuthorizationCode, form.Get("code")) {
		return tokenAnswer{}, p.refuseToken(ctx, c, p.clientEvent(ctx, "token.refused", c.ID), errInvalidGrant.because("code_form"))
	}
	wk := &work{party: party{Entry: c.Entry}}
	_, err := p.fosite.NewAccessRequest(withWork(ctx, wk), r, &bearerless{})
	switch {
	case wk.reused != "":
		return tokenAnswer{}, p.redeemAgain(ctx, c, wk.reused)
	case err != nil && wk.verified:
		return tokenAnswer{}, p.killCode(ctx, c, wk, ofFosite(err))
	case err != nil:
		return tokenAnswer{}, p.refuseToken(ctx, c, p.codeRefused(ctx, c, wk), ofFosite(err))
	case wk.code == nil || !wk.verified:
		return tokenAnswer{}, errors.New("oauth: a code passed without its proof")
	}
	if err := p.standing(ctx, wk.code.Grant); err != nil {
		return tokenAnswer{}, p.refuseToken(ctx, c, p.codeRefused(ctx, c, wk), err)
	}
	return p.redeemed(ctx, c, wk, form)
}

// redeemed issues what a code is worth.
func (p *Provider) redeemed(ctx context.Context, c *caller, wk *work, form url.Values) (tokenAnswer, error) {
	g, now := wk.code.Grant, p.Clock.Now()
	scopes := allowedScopes(c.Entry, g.Scopes)
	t, err := p.narrowTarget(ctx, c.Entry, g.API, scopes, form.Get("resource"))
	if err != nil {
		return tokenAnswer{}, p.refuseToken(ctx, c, p.codeRefused(ctx, c, wk), err)
	}
	a, err := p.personal(ctx, g, t, scopes)
	if err != nil {
		return tokenAnswer{}, err
	}
	out, err := p.hand(ctx, c, g, a, scopes, g.Nonce)
	if err != nil {
		return tokenAnswer{}, err
	}
	var family string
	until := now.Add(AccessTokenLifetime + time.Minute)
	writes := append([]unit.Write{}, c.spend...)
	if has(scopes, "offline_access") && c.HasGrant(client.GrantRefresh) {
		var start grant.Start
		out.RefreshToken, start = newFamily(g, now)
		family, until = start.Family.ID, start.Family.ExpiresAt.Add(AccessTokenLifetime)
		writes = append(writes, start)
	}
	writes = append(writes, unit.Spend{Kind: spendCode, Key: wk.hash, Ref: g.ID, Until: until}, grant.Issue{Token: a.row(g, family, t)})
	e := p.tokenEvent(ctx, "token.issued", g, a, family)
	e.Detail["grant_type"] = client.GrantCode
	if err := p.Commit.Commit(ctx, unit.Unit{Writes: writes, Event: e}); err != nil {
		return tokenAnswer{}, p.notRedeemed(ctx, c, wk, err)
	}
	_ = p.Codes.DeleteCode(ctx, wk.hash) // the tombstone is what counts
	return out, nil
}

// newFamily begins a line of refresh tokens.
func newFamily(g grant.Grant, now time.Time) (token string, s grant.Start) {
	token = ident.NewToken(ident.RefreshToken)
	f := grant.New(g.ID, g.Client, now)
	return token, grant.Start{Family: f, First: grant.Refresh{Hash: ident.Hash(token), Family: f.ID, At: now}}
}

// notRedeemed answers when the commit did not happen.
func (p *Provider) notRedeemed(ctx context.Context, c *caller, wk *work, err error) error {
	if !unit.IsConflict(err) {
		return err
	}
	if s, ok := unit.ConflictIn[unit.Spend](err); ok && s.Kind == spendAssertion {
		return p.replayed(ctx, c, err)
	}
	// The order of the writes does not tell whether the code was used or its grant was revoked (grant.Start comes first, and
	// refuses a second family): the tombstone does.
	ref, was, serr := p.Spent.Spent(ctx, spendCode, wk.hash)
	if serr != nil {
		return serr
	}
	if was {
		return p.redeemAgain(ctx, c, ref)
	}
	return p.refuseToken(ctx, c, p.codeRefused(ctx, c, wk), errInvalidGrant.because("grant_revoked"))
}

// redeemAgain answers the second use of a code: everything that came of the first is revoked (RFC 9700 §2.1.1), unless
// another client than the code's asks, who proves nothing.
func (p *Provider) redeemAgain(ctx context.Context, c *caller, grantID string) error {
	g, err := p.Grants.Grant(ctx, grantID)
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return err
	}
	if err != nil || g.Client != c.ID {
		return p.refuseToken(ctx, c, p.clientEvent(ctx, "token.refused", c.ID), errInvalidGrant.because("code_foreign"))
	}
	e := p.grantEvent(ctx, "token.reuse", g)
	return p.refuseToken(ctx, c, e, errInvalidGrant.because("code_reused"), grant.Revoke{Grant: g.ID, At: p.Clock.Now()})
}

// killCode uses up a code whose verifier was wrong or missing, so that nobody gets a second guess.
func (p *Provider) killCode(ctx context.Context, c *caller, wk *work, err error) error {
	var pe *protoError
	if !errors.As(err, &pe) {
		return err
	}
	g := wk.code.Grant
	err = p.refuseToken(ctx, c, p.codeRefused(ctx, c, wk), pe.because("code_verifier"),
		unit.Spend{Kind: spendCode, Key: wk.hash, Ref: g.ID, Until: p.Clock.Now().Add(2 * CodeLifetime)}, grant.Revoke{Grant: g.ID, At: p.Clock.Now()})
	if s, ok := unit.ConflictIn[unit.Spend](err); ok && s.Kind == spendCode {
		return p.redeemAgain(ctx, c, g.ID)
	}
	return err
}
