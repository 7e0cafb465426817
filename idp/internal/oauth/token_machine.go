package oauth

import (
	"net/http"
	"net/url"
	"slices"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/unit"
)

// clientCredentials issues a token to a client for itself (RFC 6749 §4.4): one commit with one event, and no row, because
// nothing stands behind it that could be revoked but the client.
func (p *Provider) clientCredentials(r *http.Request, c *caller, form url.Values) (tokenAnswer, error) {
	ctx := r.Context()
	refuse := func(err error) (tokenAnswer, error) {
		return tokenAnswer{}, p.refuseToken(ctx, c, audit.Event{}, err)
	}
	if _, err := p.fosite.NewAccessRequest(withWork(ctx, &work{party: party{Entry: c.Entry}}), r, &bearerless{}); err != nil {
		return refuse(ofFosite(err))
	}
	scopes := fields(form.Get("scope"))
	if len(scopes) == 0 {
		scopes = slices.DeleteFunc(fields(c.Scope), func(s string) bool { return has(client.ProtocolScopes, s) })
	}
	if len(scopes) == 0 || len(scopes) > maxScopes || slices.ContainsFunc(scopes, func(s string) bool { return has(client.ProtocolScopes, s) }) {
		return refuse(problem("invalid_scope", "ask for scopes of an API; openid, profile, email and offline_access are about persons"))
	}
	t, err := p.chooseTarget(ctx, c.Entry, scopes, form.Get("resource"))
	if err != nil {
		return refuse(err)
	}
	txn := ident.InOrder("txn")
	a, err := p.machine(ctx, c.Entry, t, scopes, txn)
	if err != nil {
		return tokenAnswer{}, err
	}
	e := p.clientEvent(ctx, "token.issued", c.ID)
	e.JTI, e.Txn, e.Seen = a.claims.JTI, txn, a.seen
	e.Detail = map[string]string{"scope": a.claims.Scope, "grant_type": client.GrantClientCredentials}
	if err := p.Commit.Commit(ctx, unit.Unit{Writes: c.spend, Event: e}); err != nil {
		return tokenAnswer{}, p.replayed(ctx, c, err)
	}
	return tokenAnswer{AccessToken: a.text, TokenType: "Bearer", ExpiresIn: a.claims.Expires - a.claims.Issued, Scope: a.claims.Scope}, nil
}
