package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/unit"
)

// introspection is an answer of RFC 7662 §2.2. A token that does not stand, or is not the caller's business, is inactive and
// nothing more.
type introspection struct {
	Active bool `json:"active"`
	*accessClaims
	TokenType string `json:"token_type,omitempty"`
}

// introspect tells a confidential client whether a token stands (RFC 7662).
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(r)
	if err != nil {
		return p.wire(err)
	}
	c, err := p.authenticate(r, form)
	if err != nil {
		return p.wire(err)
	}
	ctx := r.Context()
	if !c.Confidential() {
		return p.wire(p.refuseToken(ctx, c, p.clientEvent(ctx, "token.introspected", c.ID), problem("unauthorized_client", "introspection is for clients that authenticate")))
	}
	text := form.Get("token")
	if text == "" {
		return p.wire(p.refuseToken(ctx, c, p.clientEvent(ctx, "token.introspected", c.ID), problem("invalid_request", "token is missing")))
	}
	said, e, stands, err := p.introspected(ctx, c, text)
	if err != nil {
		return err
	}
	err = p.Commit.Commit(ctx, unit.Unit{Writes: slices.Concat(stands, c.spend), Event: e})
	if _, fell := unit.ConflictIn[grant.MachineStands](err); fell {
		said = inactive
		err = p.Commit.Commit(ctx, unit.Unit{Writes: c.spend, Event: refused(p.clientEvent(ctx, "token.introspected", c.ID), "inactive")})
	}
	if err != nil {
		return p.wire(p.replayed(ctx, c, err))
	}
	writeText(w, said)
	return nil
}

// inactive is said of a token that does not stand, or that is not the caller's business.
var inactive = []byte(`{"active":false}`)

// introspected finds the token and says it to those whose business it is: the client that it was issued to, and the client
// that its API is registered with. The answer holds on the conditions that it stands on.
func (p *Provider) introspected(ctx context.Context, c *caller, text string) (said []byte, e audit.Event, stands []unit.Write, err error) {
	e = p.clientEvent(ctx, "token.introspected", c.ID)
	if ident.IsToken(ident.RefreshToken, text) {
		said, e, err = p.introspectedRefresh(ctx, c, text, e)
		return said, e, nil, err
	}
	b, ok, err := p.look(ctx, text)
	if err != nil {
		return nil, e, nil, err
	}
	if !ok {
		return inactive, refused(e, "inactive"), nil, nil
	}
	mine := b.claims.ClientID == c.ID
	if !mine {
		a, err := p.standsFor(ctx, c)
		if err != nil {
			return nil, e, nil, err
		}
		mine = a != nil && a.Audience == b.claims.Audience
	}
	e.JTI, e.Grant, e.Account, e.Session, e.Txn = b.claims.JTI, b.grant.ID, b.grant.Account, b.grant.Session, b.grant.Txn
	if !mine {
		return inactive, refused(e, "foreign"), b.stands, nil
	}
	return b.claims.active(), e, b.stands, nil
}

// introspectedRefresh tells a client about its own refresh token.
func (p *Provider) introspectedRefresh(ctx context.Context, c *caller, text string, e audit.Event) ([]byte, audit.Event, error) {
	leaf, fam, g, err := p.Grants.RefreshByHash(ctx, ident.Hash(text))
	if errors.Is(err, grant.ErrNotFound) {
		return inactive, refused(e, "inactive"), nil
	}
	if err != nil {
		return nil, e, err
	}
	e.Family, e.Grant, e.Txn = fam.ID, g.ID, g.Txn
	if fam.Client != c.ID {
		return inactive, refused(e, "foreign"), nil
	}
	var gone *protoError
	if err := p.standing(ctx, g); err != nil && !errors.As(err, &gone) {
		return nil, e, err
	}
	if gone != nil || !leaf.Live() || !g.Stands() || !fam.Stands(p.Clock.Now()) {
		return inactive, refused(e, "inactive"), nil
	}
	e.Account, e.Session = g.Account, g.Session
	said, err := json.Marshal(introspection{Active: true, accessClaims: &accessClaims{
		Issuer: p.issuer, Subject: p.subject(c.Entry, g.Account), Audience: p.issuer, ClientID: c.ID, Scope: sorted(g.Scopes),
		Issued: leaf.At.Unix(), Expires: fam.Ends().Unix(), ACR: g.ACR, AuthTime: g.AuthTime.Unix(),
	}})
	return said, e, err
}
