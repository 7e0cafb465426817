package client

import (
	"context"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fresh"
)

// Source is what the cache reads.
type Source interface {
	// Clients lists all clients, by id.
	Clients(ctx context.Context) ([]Client, error)
	// ClientsVersion changes whenever any client does. It is one cheap read.
	ClientsVersion(ctx context.Context) (int64, error)
}

// Entry is a client with what follows from its metadata, worked out once. It must not be changed.
type Entry struct {
	Client
	keys []jose.JSONWebKey
}

// Keys returns the client's public keys that can verify an assertion with the given kid and algorithm. kid may be empty:
// then every fitting key is returned.
func (e *Entry) Keys(kid, alg string) []jose.JSONWebKey {
	var out []jose.JSONWebKey
	for _, k := range e.keys {
		if (kid == "" || k.KeyID == kid) && fits(k, alg) {
			out = append(out, k)
		}
	}
	return out
}

// Cache holds all clients in the process, with their parsed keys. A change made by a command or another replica is seen
// within fresh.Every. Looking up an unknown client costs no read of the store.
type Cache struct{ view *fresh.View[registry] }

type registry struct {
	byID    map[string]*Entry
	origins map[string]bool
}

// NewCache returns an empty cache; the first use fills it.
func NewCache(src Source, clk clock.Clock) *Cache {
	return &Cache{fresh.New(clk, src.ClientsVersion, func(ctx context.Context) (*registry, error) {
		list, err := src.Clients(ctx)
		if err != nil {
			return nil, err
		}
		return index(list), nil
	})}
}

// index builds the registry. Keys that cannot be read leave a client that cannot authenticate; registration refuses them.
func index(list []Client) *registry {
	r := &registry{byID: make(map[string]*Entry, len(list)), origins: map[string]bool{}}
	for _, c := range list {
		e := &Entry{Client: c.WithDefaults()}
		if c.TokenEndpointAuth == AuthPrivateKey {
			e.keys, _ = parseKeys(c.JWKS)
		}
		r.byID[c.ID] = e
		if !c.Disabled {
			for _, o := range e.Origins() {
				r.origins[o] = true
			}
		}
	}
	return r
}

// Get returns a client that may be used. Errors: ErrNotFound, for disabled clients too.
func (c *Cache) Get(ctx context.Context, id string) (*Entry, error) {
	r, err := c.view.Get(ctx)
	if err != nil {
		return nil, err
	}
	if e := r.byID[id]; e != nil && !e.Disabled {
		return e, nil
	}
	return nil, ErrNotFound
}

// Subjects tells what clients call accounts.
type Subjects struct {
	Clients *Cache
	Keys    Pairwiser
}

// Subject returns the subject identifier of an account at a client. Errors: ErrNotFound.
func (s Subjects) Subject(ctx context.Context, clientID, account string) (string, error) {
	c, err := s.Clients.Get(ctx, clientID)
	if err != nil {
		return "", err
	}
	return c.Subject(s.Keys, account), nil
}

// AllowsOrigin reports whether some browser client calls from origin.
func (c *Cache) AllowsOrigin(ctx context.Context, origin string) bool {
	r, err := c.view.Get(ctx)
	return err == nil && r.origins[origin]
}

// Size returns how many clients are in memory, and how often they were read from the store.
func (c *Cache) Size() (clients int, reads int64) {
	r, reads := c.view.Peek()
	if r == nil {
		return 0, reads
	}
	return len(r.byID), reads
}

// Refresh looks for changes now. The process that changed a client itself calls it.
func (c *Cache) Refresh(ctx context.Context) error { _, err := c.view.Refresh(ctx); return err }
