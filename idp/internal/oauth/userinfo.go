package oauth

import (
	"errors"
	"net/http"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

// claims of a person (OpenID Connect Core §5.1). Empty ones are left out.
type claims struct {
	Subject       string `json:"sub"`
	Name          string `json:"name,omitempty"`
	GivenName     string `json:"given_name,omitempty"`
	FamilyName    string `json:"family_name,omitempty"`
	Username      string `json:"preferred_username,omitempty"`
	BirthDate     string `json:"birthdate,omitempty"`
	Locale        string `json:"locale,omitempty"`
	UpdatedAt     int64  `json:"updated_at,omitempty"`
	Email         string `json:"email,omitempty"`
	EmailVerified *bool  `json:"email_verified,omitempty"`
}

// userinfo tells a client about the person (OpenID Connect Core §5.3), as far as the token's scope goes.
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	text, err := bearerOf(r)
	var pe *protoError
	switch {
	case errors.As(err, &pe):
		return p.bearerError(http.StatusBadRequest, pe.code, pe.why, "")
	case err != nil:
		return err
	case text == "":
		return p.bearerError(http.StatusUnauthorized, "", "send an access token in the Authorization header", "")
	}
	b, ok, err := p.look(ctx, text)
	if err != nil {
		return err
	}
	if !ok || b.machine() || b.claims.Audience != p.issuer {
		return p.refuseUserinfo(r, b, p.bearerError(http.StatusUnauthorized, "invalid_token", "the access token is expired, revoked or not for this provider's UserInfo", ""), "invalid_token")
	}
	scope := fields(b.claims.Scope)
	if !has(scope, "openid") {
		return p.refuseUserinfo(r, b, p.bearerError(http.StatusForbidden, "insufficient_scope", "UserInfo needs the scope openid", "openid"), "insufficient_scope")
	}
	c, err := p.Clients.Get(ctx, b.grant.Client)
	if err != nil {
		return err
	}
	e := p.grantEvent(ctx, "userinfo.read", b.grant)
	e.JTI = b.claims.JTI
	e.Detail = map[string]string{"scope": b.claims.Scope}
	if err := p.Commit.Commit(ctx, unit.Unit{Event: e}); err != nil {
		return err
	}
	return writeJSON(w, about(b.person, p.subject(c, b.person.ID), scope))
}

// refuseUserinfo records a refusal. Only a token of ours names anything in it.
func (p *Provider) refuseUserinfo(r *http.Request, b bearer, answer error, reason string) error {
	ctx := r.Context()
	if err := p.Networks.Take(ctx, throttle.Failure, web.Info(ctx).IP); err != nil {
		return err
	}
	e := refused(p.clientEvent(ctx, "userinfo.refused", b.claims.ClientID), reason)
	e.JTI = b.claims.JTI
	var err error
	if e.Client == "" {
		err = p.Strangers.Refused(ctx, e)
	} else {
		err = p.Commit.Commit(ctx, unit.Unit{Event: e})
	}
	if err != nil {
		return err
	}
	return answer
}

// about returns what scope opens of an account (OpenID Connect Core §5.4).
func about(a account.Account, sub string, scope []string) claims {
	c := claims{Subject: sub}
	if has(scope, "profile") {
		c.Name, c.GivenName, c.FamilyName, c.Username = a.DisplayName(), a.GivenName, a.FamilyName, a.Username
		c.BirthDate, c.Locale, c.UpdatedAt = a.BirthDate, a.Locale, a.UpdatedAt.Unix()
	}
	if has(scope, "email") {
		verified := !a.EmailVerifiedAt.IsZero()
		c.Email, c.EmailVerified = a.Email, &verified
	}
	return c
}
