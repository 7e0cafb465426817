package api

import (
	"context"
	"strings"

	"ellis.example/idp/internal/fault"
)

// API is a resource server that tokens are issued for.
type API struct {
	ID         string            `json:"id" yaml:"id"`             // immutable: keys the pairwise subjects
	Audience   string            `json:"audience" yaml:"audience"` // resource indicator (RFC 8707 §2)
	Name       map[string]string `json:"name" yaml:"name"`         // by language
	SigningAlg string            `json:"signing_alg" yaml:"signing_alg"`
	Scopes     []Scope           `json:"scopes" yaml:"scopes"`
	// ClientID is the client as which the API's own server asks: whether its tokens stand, and what was revoked. Empty: none.
	ClientID string `json:"client_id,omitempty" yaml:"client_id"`
	Version  int64  `json:"-" yaml:"-"`
}

// Scope is one permission with its plain words by language.
type Scope struct {
	Name  string            `json:"name" yaml:"name"`
	Words map[string]string `json:"words" yaml:",inline"`
}

// Facts are what the audit keeps of a registration: all that decides who gets in. A restore goes by them, so that a scope that
// was taken away does not come back.
func (a API) Facts() map[string]string {
	var scopes []string
	for _, s := range a.Scopes {
		scopes = append(scopes, s.Name)
	}
	return map[string]string{"api": a.ID, "audience": a.Audience, "signing_alg": a.SigningAlg, "server": a.ClientID, "scopes": strings.Join(scopes, " ")}
}

// ErrNotFound is returned when no such API is registered.
var ErrNotFound = fault.New(fault.NotFound, "api_not_found", "no such API")

// Reader is what API logic asks of a store.
type Reader interface {
	// APIs lists all registered APIs, by id. There are few; callers may keep them as long as their versions stand.
	APIs(ctx context.Context) ([]API, error)
}
