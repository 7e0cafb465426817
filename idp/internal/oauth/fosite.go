package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	josev3 "github.com/go-jose/go-jose/v3"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/pkce"
	"github.com/ory/fosite/token/jwt"

	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/grant"
)

// newFosite assembles fosite by hand: exactly the handlers that are wanted, over our storage and strategies. Every field of
// its configuration is set, because its getters fill in missing ones while they are read, which is a data race.
func (p *Provider) newFosite() fosite.OAuth2Provider {
	cfg := p.fositeConfig()
	s, st := &chain{p}, codeStrategy{p}
	code := &oauth2.AuthorizeExplicitGrantHandler{
		AccessTokenStrategy: st, RefreshTokenStrategy: st, AuthorizeCodeStrategy: st,
		CoreStorage: s, TokenRevocationStorage: s, Config: cfg,
	}
	proof := &pkce.Handler{AuthorizeCodeStrategy: st, Storage: s, Config: cfg} // after code: it asks for the code that was made
	machine := &oauth2.ClientCredentialsGrantHandler{
		HandleHelper: &oauth2.HandleHelper{AccessTokenStrategy: st, AccessTokenStorage: s, Config: cfg}, Config: cfg,
	}
	cfg.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{code, proof}
	cfg.TokenEndpointHandlers = fosite.TokenEndpointHandlers{code, proof, machine}
	return fosite.NewOAuth2Provider(s, cfg)
}

func (p *Provider) fositeConfig() *fosite.Config {
	return &fosite.Config{
		AccessTokenLifespan: AccessTokenLifetime, RefreshTokenLifespan: grant.AbsoluteLifetime, AuthorizeCodeLifespan: CodeLifetime,
		IDTokenLifespan: IDTokenLifetime, VerifiableCredentialsNonceLifespan: time.Minute, GrantTypeJWTBearerMaxDuration: time.Minute,
		IDTokenIssuer: p.issuer, AccessTokenIssuer: p.issuer, TokenURL: p.issuer + "/token",
		HashCost: 12, TokenEntropy: 32,
		ScopeStrategy:            fosite.ExactScopeStrategy,
		AudienceMatchingStrategy: func([]string, []string) error { return nil }, // audiences are decided in target.go
		EnforcePKCE:              true, EnforcePKCEForPublicClients: true, EnablePKCEPlainChallengeMethod: false,
		AllowedPromptValues:          prompts,
		JWKSFetcherStrategy:          noFetch{},
		RedirectSecureChecker:        func(context.Context, *url.URL) bool { return true }, // registration and MatchRedirect decide
		RefreshTokenScopes:           []string{"offline_access"},
		MinParameterEntropy:          fosite.MinParameterEntropy, // what it takes for less than one (see withState)
		ClientAuthenticationStrategy: authenticated,
		ResponseModeHandlerExtension: fosite.NewDefaultResponseModeHandler(),
		FormPostHTMLTemplate:         template.New("unused"),
		OmitRedirectScopeParam:       true,
		SanitationWhiteList:          []string{"redirect_uri"},
		JWTScopeClaimKey:             jwt.JWTScopeFieldString,
		ClientSecretsHasher:          noHasher{},
		HTTPClient:                   noHTTP(),
		GlobalSecret:                 p.RefreshSecret, HMACHasher: sha256.New,
		RevocationHandlers: fosite.RevocationHandlers{}, TokenIntrospectionHandlers: fosite.TokenIntrospectionHandlers{},
		PushedAuthorizeEndpointHandlers: fosite.PushedAuthorizeEndpointHandlers{},
		PushedAuthorizeRequestURIPrefix: "urn:ietf:params:oauth:request_uri:", PushedAuthorizeContextLifespan: time.Minute,
	}
}

var errNotOurs = errors.New("oauth: fosite asked for something that it is not used for")

// noFetch, noHasher and noHTTP stand where fosite would fetch keys, hash secrets or call out. It never may.
type noFetch struct{}

// Resolve implements fosite.JWKSFetcherStrategy.
func (noFetch) Resolve(context.Context, string, bool) (*josev3.JSONWebKeySet, error) {
	return nil, errNotOurs
}

type noHasher struct{}

// Compare implements fosite.Hasher.
func (noHasher) Compare(context.Context, []byte, []byte) error { return errNotOurs }

// Hash implements fosite.Hasher.
func (noHasher) Hash(context.Context, []byte) ([]byte, error) { return nil, errNotOurs }

type refuse struct{}

// RoundTrip implements http.RoundTripper.
func (refuse) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNotOurs }

func noHTTP() *retryablehttp.Client {
	return &retryablehttp.Client{HTTPClient: &http.Client{Transport: refuse{}}, CheckRetry: retryablehttp.DefaultRetryPolicy, Backoff: retryablehttp.DefaultBackoff}
}

// party is a client as fosite sees it. Its only redirect URI is the one that our own matcher took, so that fosite's never
// has anything to compare.
type party struct {
	*client.Entry
	redirect string
}

// GetID implements fosite.Client.
func (c party) GetID() string { return c.ID }

// GetHashedSecret implements fosite.Client.
func (c party) GetHashedSecret() []byte { return nil }

// GetRedirectURIs implements fosite.Client.
func (c party) GetRedirectURIs() []string { return []string{c.redirect} }

// GetGrantTypes implements fosite.Client.
func (c party) GetGrantTypes() fosite.Arguments { return c.GrantTypes }

// GetResponseTypes implements fosite.Client.
func (c party) GetResponseTypes() fosite.Arguments { return c.ResponseTypes }

// GetScopes implements fosite.Client.
func (c party) GetScopes() fosite.Arguments { return strings.Fields(c.Scope) }

// IsPublic implements fosite.Client.
func (c party) IsPublic() bool { return !c.Confidential() }

// GetAudience implements fosite.Client.
func (c party) GetAudience() fosite.Arguments { return nil }

// GetResponseModes implements fosite.ResponseModeClient.
func (c party) GetResponseModes() []fosite.ResponseModeType {
	out := make([]fosite.ResponseModeType, len(c.ResponseModes))
	for i, m := range c.ResponseModes {
		out[i] = fosite.ResponseModeType(m)
	}
	return out
}

var _ fosite.ResponseModeClient = party{}

// bearerless is fosite's session: all it may note are the ends of lives. It is cloned by hand, not by reflection.
type bearerless struct {
	ends map[fosite.TokenType]time.Time
}

// SetExpiresAt implements fosite.Session.
func (s *bearerless) SetExpiresAt(k fosite.TokenType, t time.Time) {
	if s.ends == nil {
		s.ends = map[fosite.TokenType]time.Time{}
	}
	s.ends[k] = t
}

// GetExpiresAt implements fosite.Session.
func (s *bearerless) GetExpiresAt(k fosite.TokenType) time.Time { return s.ends[k] }

// GetUsername implements fosite.Session.
func (*bearerless) GetUsername() string { return "" }

// GetSubject implements fosite.Session.
func (*bearerless) GetSubject() string { return "" }

// Clone implements fosite.Session.
func (s *bearerless) Clone() fosite.Session {
	c := &bearerless{}
	for k, t := range s.ends {
		c.SetExpiresAt(k, t)
	}
	return c
}
