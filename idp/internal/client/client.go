package client

import (
	"context"
	"time"

	"ellis.example/idp/internal/fault"
)

// Client is a relying party or a machine, in the terms of RFC 7591 §2 and OpenID Connect Registration §2.
type Client struct {
	ID                     string   `json:"client_id" yaml:"client_id"`
	Name                   string   `json:"client_name" yaml:"client_name"`
	URI                    string   `json:"client_uri,omitempty" yaml:"client_uri"`
	ApplicationType        string   `json:"application_type,omitempty" yaml:"application_type"` // web | native
	RedirectURIs           []string `json:"redirect_uris,omitempty" yaml:"redirect_uris"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty" yaml:"post_logout_redirect_uris"`
	GrantTypes             []string `json:"grant_types" yaml:"grant_types"`
	ResponseTypes          []string `json:"response_types,omitempty" yaml:"response_types"`
	ResponseModes          []string `json:"response_modes,omitempty" yaml:"response_modes"` // empty: query and form_post
	Scope                  string   `json:"scope" yaml:"scope"`                             // what may be asked for at all
	APIs                   []string `json:"apis,omitempty" yaml:"apis"`                     // ids of APIs it may get tokens for
	TokenEndpointAuth      string   `json:"token_endpoint_auth_method" yaml:"token_endpoint_auth_method"`
	TokenEndpointAuthAlg   string   `json:"token_endpoint_auth_signing_alg,omitempty" yaml:"token_endpoint_auth_signing_alg"`
	JWKS                   KeySet   `json:"jwks,omitempty" yaml:"jwks"`
	IDTokenAlg             string   `json:"id_token_signed_response_alg,omitempty" yaml:"id_token_signed_response_alg"` // empty: RS256
	SubjectType            string   `json:"subject_type,omitempty" yaml:"subject_type"`                                 // pairwise | public; empty: pairwise
	DefaultMaxAge          *int     `json:"default_max_age,omitempty" yaml:"default_max_age"`                           // seconds
	DefaultACRValues       []string `json:"default_acr_values,omitempty" yaml:"default_acr_values"`
	Disabled               bool     `json:"disabled,omitempty" yaml:"disabled"`

	SecretHash [32]byte  `json:"-" yaml:"-"` // SHA-256 of the secret; zero for clients without one
	CreatedAt  time.Time `json:"-" yaml:"-"`
	UpdatedAt  time.Time `json:"-" yaml:"-"`
	Version    int64     `json:"-" yaml:"-"`
}

// ErrNotFound is returned when no such client is registered.
var ErrNotFound = fault.New(fault.NotFound, "client_not_found", "no such client")

// Reader is what client logic asks of a store.
type Reader interface {
	// Client returns one by id, disabled ones included. Errors: ErrNotFound.
	Client(ctx context.Context, id string) (Client, error)
	// Clients lists all, by id.
	Clients(ctx context.Context) ([]Client, error)
}
