package api

import (
	"context"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fresh"
)

// Source is what the cache reads.
type Source interface {
	Reader
	// APIsVersion changes whenever any API does. It is one cheap read.
	APIsVersion(ctx context.Context) (int64, error)
}

// Cache holds all APIs in the process. A change made by a command or another replica is seen within fresh.Every.
type Cache struct{ view *fresh.View[Registry] }

// NewCache returns an empty cache; the first use fills it.
func NewCache(src Source, clk clock.Clock) *Cache {
	return &Cache{fresh.New(clk, src.APIsVersion, func(ctx context.Context) (*Registry, error) {
		list, err := src.APIs(ctx)
		if err != nil {
			return nil, err
		}
		return index(list), nil
	})}
}

// Get returns all APIs as they stand at one moment. Errors: those of the store, while nothing is known yet.
func (c *Cache) Get(ctx context.Context) (*Registry, error) { return c.view.Get(ctx) }

// Size returns how many APIs are in memory, and how often they were read from the store.
func (c *Cache) Size() (apis int, reads int64) {
	r, reads := c.view.Peek()
	if r == nil {
		return 0, reads
	}
	return len(r.list), reads
}

// Refresh looks for changes now. The process that changed an API itself calls it.
func (c *Cache) Refresh(ctx context.Context) error { _, err := c.view.Refresh(ctx); return err }

// Registry is the set of all APIs. It must not be changed.
type Registry struct {
	list       []API
	byID       map[string]*API
	byAudience map[string]*API
	byClient   map[string]*API
	owner      map[string]*API
	words      map[string]map[string]string // scope → language → words
}

func index(list []API) *Registry {
	r := &Registry{list: list, byID: map[string]*API{}, byAudience: map[string]*API{}, byClient: map[string]*API{}, owner: map[string]*API{}, words: map[string]map[string]string{}}
	for i := range list {
		a := &list[i]
		r.byID[a.ID], r.byAudience[a.Audience] = a, a
		if a.ClientID != "" {
			r.byClient[a.ClientID] = a
		}
		for _, s := range a.Scopes {
			r.owner[s.Name], r.words[s.Name] = a, s.Words
		}
	}
	return r
}

// All returns every API, by id.
func (r *Registry) All() []API { return r.list }

// ByID returns the API with the given id. Errors: ErrNotFound.
func (r *Registry) ByID(id string) (*API, error) { return found(r.byID[id]) }

// ByAudience returns the API that a resource parameter names, byte for byte (RFC 8707 §2). Errors: ErrNotFound.
func (r *Registry) ByAudience(audience string) (*API, error) { return found(r.byAudience[audience]) }

// ByClient returns the API whose own server is the client. Errors: ErrNotFound.
func (r *Registry) ByClient(id string) (*API, error) { return found(r.byClient[id]) }

// ScopeOwner returns the API that a scope belongs to. Errors: ErrNotFound, for protocol scopes too.
func (r *Registry) ScopeOwner(scope string) (*API, error) { return found(r.owner[scope]) }

// Words returns what a scope opens, in plain words of the language, in English where it is unknown; empty for a scope that
// no API owns.
func (r *Registry) Words(scope, lang string) string {
	return pick(r.words[scope], lang)
}

// Called returns the API's name in the language, in English where it is unknown.
func (a *API) Called(lang string) string { return pick(a.Name, lang) }

func pick(words map[string]string, lang string) string {
	if w := words[lang]; w != "" {
		return w
	}
	return words["en"]
}

func found(a *API) (*API, error) {
	if a == nil {
		return nil, ErrNotFound
	}
	return a, nil
}
