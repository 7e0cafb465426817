package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ory/fosite"

	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/web"
)

// reply is where and how an authorization response travels. It exists only once client and redirect URI are known good.
type reply struct {
	client   *client.Entry
	redirect string
	mode     string // query | form_post
	state    string
}

// request is a validated authorization request.
type request struct {
	reply
	values   url.Values
	ar       fosite.AuthorizeRequester
	scopes   []string
	target   target
	resource string
}

// The faults that are shown as a page, because no client was found to answer to (RFC 6749 §4.1.2.1). Message is for the
// developer of the app.
var (
	errNoClient   = fault.New(fault.Invalid, "client_unknown", "client_id names no registered client: check it against the registration (idp client list)").At("client_id")
	errNoRedirect = fault.New(fault.Invalid, "redirect_uri_unregistered", "redirect_uri is not one that this client registered; it is compared byte by byte, and only a native client's port on 127.0.0.1 or [::1] may differ").At("redirect_uri")
	errWantsURI   = fault.New(fault.Invalid, "redirect_uri_missing", "send redirect_uri: OpenID Connect requires it, and so does a client with more than one").At("redirect_uri")
	errTwice      = fault.New(fault.Invalid, "parameter_twice", "client_id and redirect_uri may be sent once, with at most 2048 bytes of text")
)

// addressee finds out who is answered, and how, before anything else is looked at: no error of whatever kind ever goes to
// a URI that is not registered. wrong names a parameter that is out of form.
func (p *Provider) addressee(ctx context.Context, v url.Values, wrong string) (reply, error) {
	if wrong == "client_id" || wrong == "redirect_uri" {
		return reply{}, errTwice.At(wrong)
	}
	c, err := p.Clients.Get(ctx, v.Get("client_id"))
	if errors.Is(err, client.ErrNotFound) {
		return reply{}, errNoClient
	}
	if err != nil {
		return reply{}, err
	}
	web.Info(ctx).Client = c.ID
	to := v.Get("redirect_uri")
	if !v.Has("redirect_uri") {
		if len(c.RedirectURIs) != 1 || slices.Contains(fields(v.Get("scope")), "openid") {
			return reply{}, errWantsURI
		}
		to = c.RedirectURIs[0]
	}
	if !c.MatchRedirect(to) {
		return reply{}, errNoRedirect
	}
	mode := "query" // what response_type code answers in (OAuth 2.0 Multiple Response Types §2.1)
	if m := v.Get("response_mode"); m == "form_post" && c.HasResponseMode(m) && postable(to) {
		mode = m
	}
	return reply{client: c, redirect: to, mode: mode, state: v.Get("state")}, nil
}

// postable reports whether a form can be posted to uri: no form ever leads to another scheme than these.
func postable(uri string) bool {
	return strings.HasPrefix(uri, "https://") || strings.HasPrefix(uri, "http://")
}

// validate checks the rest of an authorization request. It is run again whenever a flow goes on, so that a client that lost
// a right meanwhile does not get it. Errors: protoError, to be sent to the client.
func (p *Provider) validate(ctx context.Context, to reply, v url.Values, wrong string) (request, error) {
	if wrong != "" {
		return request{}, problem("invalid_request", "the parameter "+wrong+" was sent twice, is too long or is no text")
	}
	switch {
	case v.Has("request"):
		return request{}, problem("request_not_supported", "request objects are not supported: send the parameters themselves")
	case v.Has("request_uri"):
		return request{}, problem("request_uri_not_supported", "request_uri is not supported: send the parameters themselves")
	case v.Has("registration"):
		return request{}, problem("registration_not_supported", "clients are registered beforehand")
	}
	if err := checkMode(to, v); err != nil {
		return request{}, err
	}
	if err := checkType(v); err != nil {
		return request{}, err
	}
	ctx = withWork(ctx, &work{party: party{to.client, to.redirect}})
	ar, err := p.fosite.NewAuthorizeRequest(ctx, &http.Request{Method: http.MethodGet, URL: &url.URL{}, Header: http.Header{}, Form: withState(v)})
	if err != nil {
		return request{}, ofFosite(err)
	}
	if err := checkProof(v); err != nil {
		return request{}, err
	}
	req := request{reply: to, values: v, ar: ar, scopes: fields(v.Get("scope")), resource: v.Get("resource")}
	if err := checkScopes(to.client, req.scopes); err != nil {
		return request{}, err
	}
	if len(v["resource"]) > 1 {
		return request{}, errInvalidTarget
	}
	req.target, err = p.chooseTarget(ctx, to.client, req.scopes, req.resource)
	return req, err
}

// withState is v as fosite sees it. It insists on a state of some length, whatever it is configured to; state is the
// client's own affair: it may be short or missing, because PKCE stands in for it (RFC 9700 §2.1).
func withState(v url.Values) url.Values {
	seen := maps.Clone(v)
	seen.Set("state", strings.Repeat("-", fosite.MinParameterEntropy))
	return seen
}

func checkMode(to reply, v url.Values) error {
	if m := v.Get("response_mode"); m != "" && m != to.mode {
		return problem("invalid_request", "response_mode may be query or form_post, as far as the client registered them; form_post needs an http or https redirect_uri")
	}
	if !to.client.HasGrant(client.GrantCode) {
		return problem("unauthorized_client", "the client is not registered for grant type authorization_code")
	}
	return nil
}

// checkType takes response_type code alone, byte for byte: fosite compares it without regard to case.
func checkType(v url.Values) error {
	switch v.Get("response_type") {
	case "code":
		return nil
	case "":
		return problem("invalid_request", "response_type is missing: send code")
	}
	return problem("unsupported_response_type", "response_type is code; the implicit and hybrid flows are not offered (RFC 9700 §2.1.2)")
}

// checkProof asks every client for PKCE with S256 (RFC 9700 §2.1.1): a challenge is the base64url of a SHA-256.
func checkProof(v url.Values) error {
	if m := v.Get("code_challenge_method"); m != "S256" {
		return problem("invalid_request", "PKCE is required: send code_challenge with code_challenge_method=S256")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(v.Get("code_challenge"))
	if err != nil || len(b) != 32 {
		return problem("invalid_request", "code_challenge must be the unpadded base64url of the SHA-256 of code_verifier, 43 characters")
	}
	return nil
}

func checkScopes(c *client.Entry, scopes []string) error {
	switch {
	case len(scopes) == 0:
		return problem("invalid_scope", "ask for at least one scope; OpenID Connect requests have openid")
	case len(scopes) > maxScopes:
		return problem("invalid_scope", "ask for at most 50 scopes")
	case slices.Contains(scopes, "offline_access") && !c.HasGrant(client.GrantRefresh):
		return problem("invalid_scope", "offline_access is for clients with grant type refresh_token")
	}
	return nil
}
