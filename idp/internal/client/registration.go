package client

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"ellis.example/idp/internal/fault"
)

// Application types (OpenID Connect Registration §2).
const (
	Web    = "web"
	Native = "native"
)

// Grant types.
const (
	GrantCode              = "authorization_code"
	GrantRefresh           = "refresh_token"
	GrantClientCredentials = "client_credentials"
)

// Token endpoint authentication methods.
const (
	AuthBasic      = "client_secret_basic"
	AuthPost       = "client_secret_post"
	AuthPrivateKey = "private_key_jwt"
	AuthNone       = "none"
)

// Subject types (OpenID Connect Core §8).
const (
	Pairwise = "pairwise"
	Public   = "public"
)

// ProtocolScopes are those that this provider itself gives a meaning to (OpenID Connect Core §5.4, §11).
var ProtocolScopes = []string{"openid", "profile", "email", "offline_access"}

// IDTokenAlgorithms are those that ID tokens can be signed with.
var IDTokenAlgorithms = []string{"RS256", "ES256", "PS256", "EdDSA"}

var (
	grantTypes    = []string{GrantCode, GrantRefresh, GrantClientCredentials}
	responseModes = []string{"query", "form_post"}
	authMethods   = []string{AuthBasic, AuthPost, AuthPrivateKey, AuthNone}
	idForm        = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$`)
	subjectForm   = regexp.MustCompile(`^(acc_.*|[A-Za-z0-9_-]{43})$`)
)

const maxList = 50

// Known is what a registration may refer to.
type Known struct {
	APIs   []string          // ids of the registered APIs
	Scopes map[string]string // scope → id of the API that owns it
	Others []Client          // the other registered clients
}

// WithDefaults returns c with what RFC 7591 §2 and OpenID Connect Registration §2 assume where a registration says nothing.
func (c Client) WithDefaults() Client {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&c.ApplicationType, Web)
	def(&c.TokenEndpointAuth, AuthBasic)
	def(&c.SubjectType, Pairwise)
	def(&c.IDTokenAlg, "RS256")
	if len(c.GrantTypes) == 0 {
		c.GrantTypes = []string{GrantCode}
	}
	if len(c.ResponseTypes) == 0 && slices.Contains(c.GrantTypes, GrantCode) {
		c.ResponseTypes = []string{"code"}
	}
	if len(c.ResponseModes) == 0 && slices.Contains(c.GrantTypes, GrantCode) {
		c.ResponseModes = slices.Clone(responseModes)
	}
	c.Scope = strings.Join(strings.Fields(c.Scope), " ")
	return c
}

// problems collects what is wrong with a registration.
type problems []error

func (p *problems) add(field, why string) {
	if why != "" {
		*p = append(*p, fault.New(fault.Invalid, "client_metadata", field+": "+why).At(field))
	}
}

func (p *problems) check(ok bool, field, why string) {
	if !ok {
		p.add(field, why)
	}
}

// Validate checks a registration that WithDefaults has completed. It returns every problem at once, joined: each is a
// fault of kind Invalid whose Field is the metadata's name and whose Message says what to change.
func (c Client) Validate(k Known) error {
	var p problems
	c.checkIdentity(&p, k)
	c.checkStrings(&p)
	c.checkGrants(&p)
	c.checkRedirects(&p)
	c.checkAuthentication(&p)
	c.checkScopes(&p, k)
	c.checkTokens(&p)
	return errors.Join(p...)
}

func (c Client) checkIdentity(p *problems, k Known) {
	p.check(idForm.MatchString(c.ID), "client_id", "use 1 to 128 letters, digits and . _ ~ -, beginning with a letter or digit")
	// A machine token's subject is its client_id: it must never look like a person's (RFC 9700 §4.15).
	p.check(!subjectForm.MatchString(c.ID), "client_id", "choose another: this one has the form of a person's subject identifier")
	p.add("client_name", checkName(c.Name))
	if o := c.Resembles(k.Others); o != nil {
		p.add("client_name", "it can be taken for "+o.Name+" (client "+o.ID+"); choose a name that looks different")
	}
	if c.URI != "" {
		p.add("client_uri", checkRedirect(c.URI, Web))
	}
	p.check(c.ApplicationType == Web || c.ApplicationType == Native, "application_type", "write web or native")
}

// checkStrings refuses what could break a line of a header, a log or a mail.
func (c Client) checkStrings(p *problems) {
	fields := map[string][]string{
		"redirect_uris": c.RedirectURIs, "post_logout_redirect_uris": c.PostLogoutRedirectURIs, "grant_types": c.GrantTypes,
		"response_types": c.ResponseTypes, "response_modes": c.ResponseModes, "scope": {c.Scope}, "apis": c.APIs,
		"default_acr_values": c.DefaultACRValues, "client_uri": {c.URI}, "token_endpoint_auth_method": {c.TokenEndpointAuth},
		"token_endpoint_auth_signing_alg": {c.TokenEndpointAuthAlg}, "id_token_signed_response_alg": {c.IDTokenAlg}, "subject_type": {c.SubjectType},
	}
	for field, values := range fields {
		p.check(len(values) <= maxList, field, "give at most 50")
		for _, v := range values {
			p.check(!strings.ContainsFunc(v, unicode.IsControl), field, "remove control characters and line breaks")
		}
	}
}

func (c Client) checkGrants(p *problems) {
	for _, g := range c.GrantTypes {
		p.check(slices.Contains(grantTypes, g), "grant_types", "use "+strings.Join(grantTypes, ", ")+"; no other grant is offered")
	}
	code := slices.Contains(c.GrantTypes, GrantCode)
	for _, r := range c.ResponseTypes {
		p.check(r == "code", "response_types", "use code; the implicit grant is not offered (RFC 9700 §2.1.2)")
	}
	p.check(code == slices.Contains(c.ResponseTypes, "code"), "response_types", "code goes with grant type authorization_code, and the other way round")
	p.check(code || !slices.Contains(c.GrantTypes, GrantRefresh), "grant_types", "refresh_token needs authorization_code beside it")
	for _, m := range c.ResponseModes {
		p.check(slices.Contains(responseModes, m), "response_modes", "use query or form_post")
	}
	p.check(!slices.Contains(c.GrantTypes, GrantClientCredentials) || c.TokenEndpointAuth != AuthNone, "grant_types", "client_credentials needs a client that authenticates")
}

func (c Client) checkRedirects(p *problems) {
	code := slices.Contains(c.GrantTypes, GrantCode)
	p.check(!code || len(c.RedirectURIs) > 0, "redirect_uris", "give at least one for grant type authorization_code")
	p.check(code || len(c.RedirectURIs) == 0, "redirect_uris", "remove them: this client never uses the authorization endpoint")
	for _, u := range c.RedirectURIs {
		p.add("redirect_uris", checkRedirect(u, c.ApplicationType))
	}
	for _, u := range c.PostLogoutRedirectURIs {
		p.add("post_logout_redirect_uris", checkRedirect(u, c.ApplicationType))
	}
}

func (c Client) checkAuthentication(p *problems) {
	m := c.TokenEndpointAuth
	p.check(slices.Contains(authMethods, m), "token_endpoint_auth_method", "use "+strings.Join(authMethods, ", "))
	if m != AuthPrivateKey {
		p.check(len(c.JWKS) == 0, "jwks", "remove it: only private_key_jwt uses keys")
		p.check(c.TokenEndpointAuthAlg == "", "token_endpoint_auth_signing_alg", "remove it: only private_key_jwt uses it")
		return
	}
	alg := c.TokenEndpointAuthAlg
	p.check(alg == "" || slices.Contains(AssertionAlgorithms, alg), "token_endpoint_auth_signing_alg", "use "+strings.Join(AssertionAlgorithms, ", "))
	keys, err := parseKeys(c.JWKS)
	if err != nil {
		p.add("jwks", err.Error())
		return
	}
	usable := false
	for _, k := range keys {
		usable = usable || alg == "" || fits(k, alg)
	}
	p.check(usable, "jwks", "none of the keys can be used with "+alg)
}

func (c Client) checkScopes(p *problems, k Known) {
	for _, a := range c.APIs {
		p.check(slices.Contains(k.APIs, a), "apis", "no API "+a+" is registered; register it first")
	}
	for s := range strings.FieldsSeq(c.Scope) {
		owner, ok := k.Scopes[s]
		switch {
		case slices.Contains(ProtocolScopes, s):
		case !ok:
			p.add("scope", "no API has a scope "+s)
		case !slices.Contains(c.APIs, owner):
			p.add("scope", s+" belongs to API "+owner+"; add it to apis")
		}
	}
	p.check(!c.HasScope("offline_access") || slices.Contains(c.GrantTypes, GrantRefresh), "scope", "offline_access needs grant type refresh_token")
}

func (c Client) checkTokens(p *problems) {
	p.check(slices.Contains(IDTokenAlgorithms, c.IDTokenAlg), "id_token_signed_response_alg", "use "+strings.Join(IDTokenAlgorithms, ", "))
	p.check(c.SubjectType == Pairwise || c.SubjectType == Public, "subject_type", "use pairwise or public")
	p.check(c.DefaultMaxAge == nil || *c.DefaultMaxAge >= 0, "default_max_age", "give a number of seconds, 0 or more")
}
