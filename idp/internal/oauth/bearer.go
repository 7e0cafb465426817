package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

// bearer is one of our access tokens that is good right now.
type bearer struct {
	claims *shown
	grant  grant.Grant     // of a token for a person
	person account.Account // the same
	stands []unit.Write    // of a machine's token: what else it stands on, to be committed with whatever is answered
}

// shown are the claims of an access token that somebody shows: shared by all who do, and never changed.
type shown struct {
	accessClaims
	once sync.Once
	said []byte // see active
}

// readShown makes them of the text of the claims, nil of what they cannot be.
func readShown(raw []byte) any {
	s := &shown{}
	if json.Unmarshal(raw, &s.accessClaims) != nil {
		return nil
	}
	return s
}

// active is the answer to an introspection of the token while it stands: the same to everybody whose business it is.
func (s *shown) active() []byte {
	s.once.Do(func() {
		s.said, _ = json.Marshal(introspection{Active: true, accessClaims: &s.accessClaims, TokenType: "Bearer"}) // strings and numbers always have a text
	})
	return s.said
}

func (b bearer) machine() bool { return b.grant.ID == "" }

// look verifies an access token of ours and everything that it stands on: signature, issuer, time, revocation, client, and
// the person's account. Whether a machine's token was revoked is left to who commits what it stands on. ok is false for anything
// that does not stand; err is only for what could not be found out.
func (p *Provider) look(ctx context.Context, text string) (b bearer, ok bool, err error) {
	b.claims = &shown{}
	found, err := p.Keys.Read(ctx, text, typAccessToken, readShown)
	if err != nil {
		return b, false, onlyOurs(err)
	}
	b.claims = found.(*shown)
	c := &b.claims.accessClaims
	now := p.Clock.Now()
	if c.Issuer != p.issuer || c.JTI == "" || c.ClientID == "" || now.Unix() >= c.Expires || clock.Future(time.Unix(c.Issued, 0), now) {
		return b, false, nil
	}
	app, err := p.Clients.Get(ctx, c.ClientID)
	if err != nil {
		return b, false, unless(err, client.ErrNotFound)
	}
	if c.Subject == c.ClientID { // no person's subject has the form of a client_id: registration sees to it
		b.stands, ok, err = p.machineStands(ctx, app, c)
		return b, ok, err
	}
	row, g, err := p.Grants.AccessToken(ctx, c.JTI)
	if err != nil {
		return b, false, unless(err, grant.ErrNotFound)
	}
	if !row.Revoked.IsZero() || !g.Revoked.IsZero() || g.ID == "" || g.Client != c.ClientID || (row.API != "" && !app.HasAPI(row.API)) {
		return b, false, nil
	}
	b.grant = g
	if b.person, err = p.Accounts.Account(ctx, g.Account); err != nil {
		return b, false, unless(err, account.ErrNotFound)
	}
	return b, b.person.MaySignIn(), nil
}

// machineStands returns on which condition a token that a client got for itself is still good, where its client would get it
// again.
func (p *Provider) machineStands(ctx context.Context, app *client.Entry, c *accessClaims) (stands []unit.Write, ok bool, err error) {
	apis, err := p.APIs.Get(ctx)
	if err != nil {
		return nil, false, err
	}
	t, ok := p.byResource(apis, c.Audience)
	if !ok || t.api == nil || !app.HasGrant(client.GrantClientCredentials) || !app.HasAPI(t.id()) {
		return nil, false, nil
	}
	for s := range strings.FieldsSeq(c.Scope) {
		if !t.owns(s) {
			return nil, false, nil
		}
	}
	return []unit.Write{grant.MachineStands{JTI: c.JTI, Client: c.ClientID, API: t.id(), Issued: time.Unix(c.Issued, 0), Until: tombstoneOf(*c)}}, true, nil
}

// unless swallows one error.
func unless(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// bearerOf returns the access token of a request: from the Authorization header, or from a form body (RFC 6750 §2.1, §2.2).
// A token in the query is never looked at (RFC 9700 §4.3.2). Errors: invalid_request when there are two.
func bearerOf(r *http.Request) (string, error) {
	var found []string
	for _, h := range r.Header.Values("Authorization") {
		if scheme, token, ok := strings.Cut(h, " "); ok && strings.EqualFold(scheme, "Bearer") {
			found = append(found, token)
		}
	}
	if r.Method == http.MethodPost && isForm(r) {
		form, err := readForm(r)
		if err != nil {
			return "", err
		}
		if t := form.Get("access_token"); t != "" {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", problem("invalid_request", "send one access token, in one way")
}

// isForm compares in any case, as web.Form does, which refuses a form whose type is wrong in some other way.
func isForm(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "application/x-www-form-urlencoded"
}

// bearerError is a refusal of a protected resource (RFC 6750 §3). Without a code nothing was presented, and nothing more is said.
func (p *Provider) bearerError(status int, code, why, scope string) error {
	challenge := `Bearer realm="` + p.issuer + `"`
	shown := code
	if code == "" {
		shown = "invalid_token"
	} else {
		challenge += `, error="` + code + `", error_description="` + plain(why) + `"`
	}
	if scope != "" {
		challenge += `, scope="` + scope + `"`
	}
	return &web.OAuthError{Status: status, Code: shown, Description: why, Challenge: challenge}
}
