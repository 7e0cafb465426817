package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/unit"
)

// revoke ends a token of the client that asks (RFC 7009): a refresh token with its family, its grant and all their access
// tokens, or one access token. Anybody else's token, and what is no token at all, is answered the same and nothing happens.
// An answer of 200 means that it is done: a store that fails is an error.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(r)
	if err != nil {
		return p.wire(err)
	}
	c, err := p.authenticate(r, form)
	if err != nil {
		return p.wire(err)
	}
	ctx := r.Context()
	text := form.Get("token")
	if text == "" {
		return p.wire(p.refuseToken(ctx, c, p.clientEvent(ctx, "token.revoked", c.ID), problem("invalid_request", "token is missing")))
	}
	writes, e, err := p.revocation(ctx, c, text)
	if err != nil {
		return err
	}
	if err := p.Commit.Commit(ctx, unit.Unit{Writes: append(append([]unit.Write{}, c.spend...), writes...), Event: e}); err != nil {
		return p.wire(p.replayed(ctx, c, err))
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// revocation returns what is to be done about a token.
func (p *Provider) revocation(ctx context.Context, c *caller, text string) ([]unit.Write, audit.Event, error) {
	e := p.clientEvent(ctx, "token.revoked", c.ID)
	now := p.Clock.Now()
	if ident.IsToken(ident.RefreshToken, text) {
		_, fam, g, err := p.Grants.RefreshByHash(ctx, ident.Hash(text))
		switch {
		case errors.Is(err, grant.ErrNotFound):
			return nil, refused(e, "unknown"), nil
		case err != nil:
			return nil, e, err
		case fam.Client != c.ID:
			return nil, refused(e, "foreign"), nil
		}
		e = p.grantEvent(ctx, "token.revoked", g)
		e.Family = fam.ID
		return []unit.Write{grant.RevokeFamily{Family: fam.ID, At: now}, grant.Revoke{Grant: g.ID, At: now}}, e, nil
	}
	raw, err := p.Keys.Verify(ctx, text, typAccessToken)
	var a accessClaims
	if err != nil || json.Unmarshal(raw, &a) != nil || a.Issuer != p.issuer || a.JTI == "" {
		return nil, refused(e, "unknown"), onlyOurs(err)
	}
	e.JTI = a.JTI
	if a.ClientID != c.ID {
		return nil, refused(e, "foreign"), nil
	}
	if _, g, err := p.Grants.AccessToken(ctx, a.JTI); err == nil && g.ID != "" {
		e = p.grantEvent(ctx, "token.revoked", g)
		e.JTI = a.JTI
	} else if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return nil, e, err
	}
	apis, err := p.APIs.Get(ctx)
	if err != nil {
		return nil, e, err
	}
	t, _ := p.byResource(apis, a.Audience) // an API whose audience changed takes none of its old tokens
	return []unit.Write{grant.RevokeToken{JTI: a.JTI, API: t.id(), At: now, Until: tombstoneOf(a)}}, e, nil
}

// tombstoneOf is until when the revocation of a token is kept.
func tombstoneOf(a accessClaims) time.Time { return time.Unix(a.Expires, 0).UTC().Add(time.Minute) }
