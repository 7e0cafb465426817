package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/unit"
)

// refreshTries bounds how often a request looks again after another one of the same token was faster.
const refreshTries = 4

var errBusy = fault.New(fault.Unavailable, "refresh_busy", "this refresh token is used by many requests at once; try again").After(time.Second)

// held is a presented refresh token with all that it stands on.
type held struct {
	text   string
	leaf   grant.Refresh
	family grant.Family
	grant  grant.Grant
	scope  string // as asked, sorted; empty: all
	target string // the resource parameter
}

// refresh exchanges a refresh token (RFC 6749 §6, RFC 9700 §4.14). The client was authenticated first: another client's token
// is refused and nothing happens to it.
func (p *Provider) refresh(r *http.Request, c *caller, form url.Values) (tokenAnswer, error) {
	ctx := r.Context()
	text := form.Get("refresh_token")
	if text == "" {
		return tokenAnswer{}, p.refuseToken(ctx, c, audit.Event{}, problem("invalid_request", "refresh_token is missing"))
	}
	for range refreshTries {
		h, err := p.hold(ctx, c, text, form)
		if err != nil {
			return tokenAnswer{}, err
		}
		out, err := p.refreshOnce(ctx, c, h)
		if !unit.IsConflict(err) {
			return out, err
		}
		if _, used := unit.ConflictIn[unit.Spend](err); used {
			return tokenAnswer{}, p.replayed(ctx, c, err)
		}
	}
	return tokenAnswer{}, errBusy
}

// hold finds the token and checks that the client may use it at all.
func (p *Provider) hold(ctx context.Context, c *caller, text string, form url.Values) (held, error) {
	h := held{text: text, scope: sorted(fields(form.Get("scope"))), target: form.Get("resource")}
	var err error
	if !ident.IsToken(ident.RefreshToken, text) {
		err = grant.ErrNotFound
	} else {
		h.leaf, h.family, h.grant, err = p.Grants.RefreshByHash(ctx, ident.Hash(text))
	}
	if errors.Is(err, grant.ErrNotFound) {
		return h, p.refuseToken(ctx, c, audit.Event{}, errInvalidGrant.because("refresh_unknown"))
	}
	if err != nil {
		return h, err
	}
	if h.family.Client != c.ID {
		return h, p.refuseToken(ctx, c, audit.Event{}, errInvalidGrant.because("refresh_foreign"))
	}
	now := p.Clock.Now()
	switch {
	case !h.family.Revoked.IsZero() || !h.grant.Stands():
		err = errInvalidGrant.because("revoked")
	case !h.family.Stands(now):
		err = errInvalidGrant.because("expired")
	default:
		err = p.standing(ctx, h.grant)
	}
	if err != nil {
		return h, p.refuseToken(ctx, c, p.refreshRefused(ctx, h), err)
	}
	return h, nil
}

// refreshOnce decides what a use of the token is: the first, a retry of an answer that was lost, or a theft.
func (p *Provider) refreshOnce(ctx context.Context, c *caller, h held) (tokenAnswer, error) {
	now := p.Clock.Now()
	switch {
	case h.leaf.UsedAt.IsZero() && !c.Rotates():
		return p.renew(ctx, c, h, h.text, grant.Touch{Family: h.family.ID, Hash: h.leaf.Hash, At: now})
	case h.leaf.UsedAt.IsZero():
		return p.rotate(ctx, c, h, now)
	}
	next, ok, err := p.successor(ctx, h, now)
	if err != nil {
		return tokenAnswer{}, err
	}
	if ok {
		return p.renew(ctx, c, h, next, grant.Touch{Family: h.family.ID, Hash: h.leaf.Child, At: now})
	}
	e := p.grantEvent(ctx, "token.reuse", h.grant)
	e.Family = h.family.ID
	return tokenAnswer{}, p.refuseToken(ctx, c, e, errInvalidGrant.because("refresh_reused"),
		grant.RevokeFamily{Family: h.family.ID, At: now}, grant.Revoke{Grant: h.grant.ID, At: now})
}

// rotate replaces the token.
func (p *Provider) rotate(ctx context.Context, c *caller, h held, now time.Time) (tokenAnswer, error) {
	next := ident.NewToken(ident.RefreshToken)
	sealed, err := grant.SealSuccessor(p.RefreshSecret, h.text, next)
	if err != nil {
		return tokenAnswer{}, err
	}
	return p.renew(ctx, c, h, next, grant.Rotate{
		Family: h.family.ID, Old: h.leaf.Hash, New: grant.Refresh{Hash: ident.Hash(next), Family: h.family.ID, At: now},
		Sealed: sealed, Scope: h.scope, Resource: h.target, At: now,
	})
}

// successor returns the token that replaced h's, if this is a retry: soon enough, for the same scope and resource, while the
// successor was not used itself.
func (p *Provider) successor(ctx context.Context, h held, now time.Time) (string, bool, error) {
	next, err := grant.OpenSuccessor(p.RefreshSecret, h.text, h.leaf.Sealed)
	if err != nil || ident.Hash(next) != h.leaf.Child {
		return "", false, nil
	}
	child, _, _, err := p.Grants.RefreshByHash(ctx, h.leaf.Child)
	if errors.Is(err, grant.ErrNotFound) {
		return "", false, nil
	}
	return next, err == nil && h.leaf.MayRetry(child, h.scope, h.target, now), err
}

// renew issues an access token with what condition says about the refresh token, in one commit. A conflict comes back as it
// is: the state moved on, and the caller looks again.
func (p *Provider) renew(ctx context.Context, c *caller, h held, next string, condition unit.Write) (tokenAnswer, error) {
	scopes := allowedScopes(c.Entry, h.grant.Scopes)
	if h.scope != "" {
		asked := fields(h.scope)
		for _, s := range asked {
			if !has(scopes, s) {
				return tokenAnswer{}, p.refuseToken(ctx, c, p.refreshRefused(ctx, h), problem("invalid_scope", "a refresh can narrow the scope, never widen it"))
			}
		}
		scopes = asked
	}
	t, err := p.narrowTarget(ctx, c.Entry, h.grant.API, scopes, h.target)
	if err != nil {
		return tokenAnswer{}, p.refuseToken(ctx, c, p.refreshRefused(ctx, h), err)
	}
	a, err := p.personal(ctx, h.grant, t, scopes)
	if err != nil {
		return tokenAnswer{}, err
	}
	out, err := p.hand(ctx, c, h.grant, a, scopes, "")
	if err != nil {
		return tokenAnswer{}, err
	}
	out.RefreshToken = next
	e := p.tokenEvent(ctx, "token.refreshed", h.grant, a, h.family.ID)
	e.Detail["grant_type"] = client.GrantRefresh
	writes := append(append([]unit.Write{}, c.spend...), condition, grant.Issue{Token: a.row(h.grant, h.family.ID, t)})
	if err := p.Commit.Commit(ctx, unit.Unit{Writes: writes, Event: e}); err != nil {
		return tokenAnswer{}, err
	}
	return out, nil
}

func (p *Provider) refreshRefused(ctx context.Context, h held) audit.Event {
	e := p.grantEvent(ctx, "token.refused", h.grant)
	e.Family = h.family.ID
	return e
}

// codeRefused is the event of a code that gave no token. A foreign client's failure is its own: the grant is named, the
// person is not the actor.
func (p *Provider) codeRefused(ctx context.Context, c *caller, wk *work) audit.Event {
	e := p.clientEvent(ctx, "token.refused", c.ID)
	if wk.code != nil {
		e.Grant, e.Txn, e.Account = wk.code.Grant.ID, wk.code.Grant.Txn, wk.code.Grant.Account
	}
	return e
}
