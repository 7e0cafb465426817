package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

// answer of the token endpoint (RFC 6749 §5.1).
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope"`
}

// token is the token endpoint (RFC 6749 §3.2).
func (p *Provider) token(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(r)
	if err != nil {
		return p.wire(err)
	}
	c, err := p.authenticate(r, form)
	if err != nil {
		return p.wire(err)
	}
	a, err := p.grantToken(r, c, form)
	if err != nil {
		return p.wire(err)
	}
	return writeJSON(w, a)
}

// grantToken dispatches by grant type. What it refuses is recorded.
func (p *Provider) grantToken(r *http.Request, c *caller, form url.Values) (tokenAnswer, error) {
	g := form.Get("grant_type")
	grants := map[string]func(*http.Request, *caller, url.Values) (tokenAnswer, error){
		client.GrantCode: p.redeem, client.GrantRefresh: p.refresh, client.GrantClientCredentials: p.clientCredentials,
	}
	run, ok := grants[g]
	var err error
	switch {
	case g == "":
		err = problem("invalid_request", "grant_type is missing")
	case !ok:
		err = problem("unsupported_grant_type", "use authorization_code, refresh_token or client_credentials")
	case !c.HasGrant(g):
		err = problem("unauthorized_client", "the client is not registered for this grant type")
	default:
		if err = boundedScope(form.Get("scope")); err == nil {
			return run(r, c, form)
		}
	}
	return tokenAnswer{}, p.refuseToken(r.Context(), c, audit.Event{}, err)
}

// refuseToken records that a client got no token, and returns why. e may name what the request was about. The client's
// assertion is used up by a refused request too. Whoever names a public client is anybody: what they are refused without any
// effect is limited by network.
func (p *Provider) refuseToken(ctx context.Context, c *caller, about audit.Event, err error, writes ...unit.Write) error {
	var pe *protoError
	if !errors.As(err, &pe) {
		return err
	}
	if !c.Confidential() && len(writes) == 0 {
		if err := p.Networks.Take(ctx, throttle.Failure, web.Info(ctx).IP); err != nil {
			return err
		}
	}
	e := refused(p.clientEvent(ctx, "token.refused", c.ID), pe.auditReason())
	if about.Type != "" {
		e = about
		e.Outcome, e.Reason = audit.Refused, pe.auditReason()
	}
	u := unit.Unit{Writes: append(append([]unit.Write{}, c.spend...), writes...), Event: e}
	if cerr := p.Commit.Commit(ctx, u); cerr != nil {
		return p.replayed(ctx, c, cerr)
	}
	return pe
}

// standing checks that the person behind a grant may still be spoken for.
func (p *Provider) standing(ctx context.Context, g grant.Grant) error {
	a, err := p.Accounts.Account(ctx, g.Account)
	if errors.Is(err, account.ErrNotFound) || (err == nil && !a.MaySignIn()) {
		return errInvalidGrant.because("account_status")
	}
	return err
}

// allowedScopes drops what the client lost since a grant was given.
func allowedScopes(c *client.Entry, scopes []string) []string {
	out := make([]string, 0, len(scopes))
	for _, s := range scopes {
		if c.HasScope(s) {
			out = append(out, s)
		}
	}
	return out
}

// hand completes an answer: the access token, and an ID token when the person signed in by OpenID Connect.
func (p *Provider) hand(ctx context.Context, c *caller, g grant.Grant, a access, scopes []string, nonce string) (tokenAnswer, error) {
	out := tokenAnswer{AccessToken: a.text, TokenType: "Bearer", ExpiresIn: a.claims.Expires - a.claims.Issued, Scope: sorted(scopes)}
	var err error
	if has(scopes, "openid") {
		out.IDToken, err = p.idToken(ctx, c.Entry, g, a.text, nonce)
	}
	return out, err
}

// tokenEvent is the event of a token that is issued on a grant.
func (p *Provider) tokenEvent(ctx context.Context, kind string, g grant.Grant, a access, family string) audit.Event {
	e := p.grantEvent(ctx, kind, g)
	e.JTI, e.Family, e.Seen = a.claims.JTI, family, a.seen
	e.Detail = map[string]string{"scope": a.claims.Scope}
	return e
}

func writeJSON(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	writeText(w, b)
	return nil
}

// The headers of answers in JSON. Shared slices: they are never changed.
var (
	jsonType = []string{"application/json"}
	noCache  = []string{"no-cache"}
)

// writeText is writeJSON for what is a text already.
func writeText(w http.ResponseWriter, b []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Pragma"] = noCache // RFC 6749 §5.1
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	_, _ = w.Write(b) // the client may be gone
}
