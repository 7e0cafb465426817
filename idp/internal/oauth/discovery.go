package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/web"
)

// discoveryAge is how long anybody may keep the metadata.
const discoveryAge = time.Hour

// discoveryDocument renders the metadata, which never change while the process runs.
func (p *Provider) discoveryDocument() (*web.Document, error) {
	b, err := json.Marshal(p.metadata())
	sum := sha256.Sum256(b)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return &web.Document{
		Type: "application/json", Age: discoveryAge,
		Current: func(context.Context) ([]byte, string, error) { return b, etag, nil },
	}, err
}

// keysDocument publishes the signing keys (RFC 7517 §5). Nobody keeps them longer than a new key waits before it signs.
func (p *Provider) keysDocument() *web.Document {
	return &web.Document{Type: "application/jwk-set+json", Age: keyring.CacheLifetime, Current: p.Keys.JWKS}
}

// metadata is what OpenID Connect Discovery §3 and RFC 8414 §2 tell about this provider. It depends on the configured issuer
// alone, never on a request's headers.
func (p *Provider) metadata() map[string]any {
	methods := []string{client.AuthBasic, client.AuthPost, client.AuthPrivateKey, client.AuthNone}
	m := map[string]any{
		"issuer":                                p.issuer,
		"authorization_endpoint":                p.issuer + "/authorize",
		"token_endpoint":                        p.issuer + "/token",
		"userinfo_endpoint":                     p.issuer + "/userinfo",
		"jwks_uri":                              p.issuer + "/jwks",
		"introspection_endpoint":                p.issuer + "/introspect",
		"revocation_endpoint":                   p.issuer + "/revoke",
		"end_session_endpoint":                  p.issuer + "/logout",
		"ellis_events_endpoint":                 p.issuer + "/events/poll", // for the APIs' own clients (RFC 8936)
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query", "form_post"},
		"grant_types_supported":                 []string{client.GrantCode, client.GrantRefresh, client.GrantClientCredentials},
		"subject_types_supported":               []string{client.Pairwise, client.Public},
		"id_token_signing_alg_values_supported": client.IDTokenAlgorithms,
		"scopes_supported":                      client.ProtocolScopes,
		"claim_types_supported":                 []string{"normal"},
		"claims_supported": []string{
			"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid", "jti",
			"name", "given_name", "family_name", "preferred_username", "birthdate", "locale", "updated_at", "email", "email_verified",
		},
		"acr_values_supported":                                     []string{session.AAL1, session.AAL2},
		"prompt_values_supported":                                  prompts,
		"display_values_supported":                                 []string{"page"},
		"ui_locales_supported":                                     []string{"en", "es"},
		"code_challenge_methods_supported":                         []string{"S256"},
		"authorization_response_iss_parameter_supported":           true,
		"claims_parameter_supported":                               false,
		"request_parameter_supported":                              false,
		"request_uri_parameter_supported":                          false,
		"token_endpoint_auth_methods_supported":                    methods,
		"token_endpoint_auth_signing_alg_values_supported":         client.AssertionAlgorithms,
		"revocation_endpoint_auth_methods_supported":               methods,
		"revocation_endpoint_auth_signing_alg_values_supported":    client.AssertionAlgorithms,
		"introspection_endpoint_auth_methods_supported":            methods[:3],
		"introspection_endpoint_auth_signing_alg_values_supported": client.AssertionAlgorithms,
	}
	return m
}
