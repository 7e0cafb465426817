package oauth

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/session"
)

// prompts are the values of prompt (OpenID Connect Core §3.1.2.1).
var prompts = []string{"none", "login", "consent", "select_account"}

// wants reads what a request asks of the sign-in. Errors: protoError.
func (p *Provider) wants(ctx context.Context, r request) (flow.Want, error) {
	v := r.values
	w := flow.Want{
		LoginHint: hint(v.Get("login_hint")), Scopes: r.scopes, API: r.target.id(),
		NeverRemember: r.client.NeverRemember(r.redirect),
		ACR:           strings.Fields(v.Get("acr_values")), Locales: strings.Fields(v.Get("ui_locales")), Prompts: strings.Fields(v.Get("prompt")),
	}
	if len(w.ACR) > maxList || len(w.Locales) > maxList || len(w.Prompts) > maxList {
		return w, problem("invalid_request", "prompt, acr_values and ui_locales may have at most 20 values")
	}
	w.Locales = slices.DeleteFunc(w.Locales, func(s string) bool { return len(s) > maxLocale })
	if len(w.ACR) == 0 {
		w.ACR = r.client.DefaultACRValues
	}
	w.ACR = knownClasses(w.ACR)
	for _, one := range w.Prompts {
		if !slices.Contains(prompts, one) {
			return w, problem("invalid_request", "prompt may be none, login, consent or select_account")
		}
	}
	if slices.Contains(w.Prompts, "none") && len(w.Prompts) > 1 {
		return w, problem("invalid_request", "prompt=none goes with no other value")
	}
	var err error
	if w.MaxAge, err = maxAge(v, r.client.DefaultMaxAge); err != nil {
		return w, err
	}
	if hint := v.Get("id_token_hint"); hint != "" {
		c, ok, herr := p.readHint(ctx, hint, r.client.ID)
		if herr == nil && !ok {
			herr = problem("invalid_request", "id_token_hint is no ID token that this provider issued to this client")
		}
		w.Subject, err = c.Subject, herr
	}
	return w, err
}

// Limits of what is kept of a request, in bytes.
const (
	maxLogin  = 254 // an address (RFC 5321 §4.5.3.1.3)
	maxLocale = 35  // a language tag (RFC 5646 §4.4.1)
)

// hint is what goes into the sign-in form; what is longer than any name is none.
func hint(login string) string {
	if len(login) > maxLogin {
		return ""
	}
	return login
}

// knownClasses are those of acr_values that we can tell apart.
func knownClasses(list []string) (out []string) {
	for _, acr := range list {
		if acr == session.AAL1 || acr == session.AAL2 {
			out = append(out, acr)
		}
	}
	return out
}

// maxAge reads max_age in seconds; 0 asks for a new sign-in.
func maxAge(v url.Values, def *int) (*time.Duration, error) {
	var n int
	switch raw := v.Get("max_age"); {
	case raw != "":
		var err error
		if n, err = strconv.Atoi(raw); err != nil || n < 0 || n > 1<<31-1 {
			return nil, problem("invalid_request", "max_age is a number of seconds, 0 or more")
		}
	case def != nil:
		n = *def
	default:
		return nil, nil
	}
	d := time.Duration(n) * time.Second
	return &d, nil
}

// idClaims are those of our ID tokens that we read back.
type idClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
}

// readHint verifies an ID token that we issued to clientID at any time (OpenID Connect Core §3.1.2.1: it may have expired,
// and its key may have retired). clientID may be empty: then the token says it. ok is false for anything else.
func (p *Provider) readHint(ctx context.Context, token, clientID string) (c idClaims, ok bool, err error) {
	raw, err := p.Keys.VerifyOld(ctx, token, typIDToken)
	if err != nil {
		return c, false, onlyOurs(err)
	}
	if json.Unmarshal(raw, &c) != nil || c.Issuer != p.issuer || c.Subject == "" || (clientID != "" && c.Audience != clientID) {
		return idClaims{}, false, nil
	}
	return c, true, nil
}
