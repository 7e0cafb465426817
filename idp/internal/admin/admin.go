package admin

import (
	"context"
	"errors"
	"slices"
	"strings"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/unit"
)

// Store is what management reads.
type Store interface {
	client.Reader
	api.Reader
}

// KeyMaker makes signing keys for algorithms that a registration names. It is implemented by keyring.Ring.
type KeyMaker interface {
	// Ensure makes what is missing for the algorithms.
	Ensure(ctx context.Context, algorithms ...string) error
}

// Deps is what management stands on.
type Deps struct {
	Store  Store
	Commit unit.Committer
	Clock  clock.Clock
	Keys   KeyMaker
}

// Admin manages clients and APIs. by, in its methods, is who does it: "operator:<os user>".
type Admin struct{ d Deps }

// New returns an Admin.
func New(d Deps) *Admin { return &Admin{d} }

// Change says what became of an entry.
type Change string

// The changes.
const (
	Created   Change = "created"
	Updated   Change = "updated"
	Unchanged Change = "unchanged"
)

// ClientResult is what became of a client. Secret is there once: when it was just made, or taken from a document.
type ClientResult struct {
	ID     string `json:"client_id"`
	Change Change `json:"change"`
	Secret string `json:"client_secret,omitempty"`
}

// APIResult is what became of an API.
type APIResult struct {
	ID     string `json:"id"`
	Change Change `json:"change"`
}

// ErrMeanwhile is returned when somebody else changed the same entry at the same moment.
var ErrMeanwhile = fault.New(fault.Conflict, "changed_meanwhile", "somebody else changed this entry at the same time: look at it again, then repeat the command")

// ErrExists is returned for a client_id that is taken.
var ErrExists = fault.New(fault.Conflict, "client_exists", "a client with this client_id is registered: choose another one, or update it").At("client_id")

// ErrNoSecret is returned for a client that authenticates without a secret.
var ErrNoSecret = fault.New(fault.Invalid, "client_without_secret", "this client authenticates without a secret: there is none to rotate")

// ListClients lists all clients, by id.
func (a *Admin) ListClients(ctx context.Context) ([]client.Client, error) {
	return a.d.Store.Clients(ctx)
}

// ShowClient returns one client, disabled ones included. Errors: client.ErrNotFound.
func (a *Admin) ShowClient(ctx context.Context, id string) (client.Client, error) {
	return a.d.Store.Client(ctx, id)
}

// CreateClient registers a client. Without an id it gets one; without a secret, when it needs one, it gets one too. Errors:
// a fault of kind Invalid that names every problem; ErrExists; client.ErrSecretForm.
func (a *Admin) CreateClient(ctx context.Context, c client.Client, secret, by string) (ClientResult, error) {
	s, err := a.state(ctx)
	if err != nil {
		return ClientResult{}, err
	}
	if c.ID == "" {
		c.ID = ident.New("cli")
	}
	if s.client(c.ID) != nil {
		return ClientResult{}, ErrExists
	}
	p, err := s.planClient(clientEntry{c, secret}, a.d.Clock.Now(), by)
	if err != nil {
		return ClientResult{}, err
	}
	return p.client, a.commit(ctx, p)
}

// UpdateClient changes a client by a function. Its id cannot be changed. Errors: client.ErrNotFound; what change returns; a
// fault of kind Invalid that names every problem; ErrMeanwhile.
func (a *Admin) UpdateClient(ctx context.Context, id string, change func(*client.Client) error, by string) (ClientResult, error) {
	s, err := a.state(ctx)
	if err != nil {
		return ClientResult{}, err
	}
	old := s.client(id)
	if old == nil {
		return ClientResult{}, client.ErrNotFound
	}
	c := *old
	if err := change(&c); err != nil {
		return ClientResult{}, err
	}
	c.ID = id
	p, err := s.planClient(clientEntry{c, ""}, a.d.Clock.Now(), by)
	if err != nil {
		return ClientResult{}, err
	}
	return p.client, a.commit(ctx, p)
}

// RotateSecret gives a client a new secret; the old one dies at once. Errors: client.ErrNotFound; ErrNoSecret; ErrMeanwhile.
func (a *Admin) RotateSecret(ctx context.Context, id, by string) (string, error) {
	c, err := a.d.Store.Client(ctx, id)
	if err != nil {
		return "", err
	}
	if !c.HasSecret() {
		return "", ErrNoSecret
	}
	secret, hash := client.NewSecret()
	return secret, a.write(ctx, unit.Unit{
		Writes: []unit.Write{client.RotateSecret{ID: id, Hash: hash, At: a.d.Clock.Now(), Version: c.Version}},
		Event:  clientEvent("client.secret_rotated", id, by),
	})
}

// DeleteClient removes a client with everything that was granted to it. Errors: client.ErrNotFound; ErrMeanwhile.
func (a *Admin) DeleteClient(ctx context.Context, id, by string) error {
	c, err := a.d.Store.Client(ctx, id)
	if err != nil {
		return err
	}
	return a.write(ctx, unit.Unit{
		Writes: []unit.Write{client.Delete{ID: id, Version: c.Version}, grant.RevokeClient{Client: id, At: a.d.Clock.Now()}},
		Event:  clientEvent("client.deleted", id, by),
	})
}

func clientEvent(typ, id, by string) audit.Event {
	return audit.Event{Type: typ, Outcome: audit.Allowed, Actor: by, Client: id}
}

// commit carries a planned change out: keys first, so that nothing is registered that could not be signed for.
func (a *Admin) commit(ctx context.Context, p planned) error {
	if p.unit.Event == nil {
		return nil
	}
	if err := a.d.Keys.Ensure(ctx, p.algs...); err != nil {
		return err
	}
	return a.write(ctx, p.unit)
}

func (a *Admin) write(ctx context.Context, u unit.Unit) error {
	err := a.d.Commit.Commit(ctx, u)
	if unit.IsConflict(err) {
		return ErrMeanwhile.Because(err)
	}
	return err
}

// state is everything that is registered, as it stands or as it will stand.
type state struct {
	apis    []api.API
	clients []client.Client
}

func (a *Admin) state(ctx context.Context) (*state, error) {
	apis, err := a.d.Store.APIs(ctx)
	if err != nil {
		return nil, err
	}
	clients, err := a.d.Store.Clients(ctx)
	return &state{apis, clients}, err
}

func (s *state) client(id string) *client.Client {
	if i := slices.IndexFunc(s.clients, func(c client.Client) bool { return c.ID == id }); i >= 0 {
		return &s.clients[i]
	}
	return nil
}

func (s *state) api(id string) *api.API {
	if i := slices.IndexFunc(s.apis, func(a api.API) bool { return a.ID == id }); i >= 0 {
		return &s.apis[i]
	}
	return nil
}

// known is what a client's registration may refer to.
func (s *state) known() client.Known {
	k := client.Known{Scopes: map[string]string{}, Others: s.clients}
	for _, a := range s.apis {
		k.APIs = append(k.APIs, a.ID)
		for _, sc := range a.Scopes {
			k.Scopes[sc.Name] = a.ID
		}
	}
	return k
}

// flatten returns the single problems of a validation.
func flatten(err error) []*fault.Error {
	var many interface{ Unwrap() []error }
	if err == nil {
		return nil
	}
	if errors.As(err, &many) {
		var out []*fault.Error
		for _, e := range many.Unwrap() {
			out = append(out, flatten(e)...)
		}
		return out
	}
	return []*fault.Error{fault.Of(err)}
}

// refuse makes one fault of several problems, one line each.
func refuse(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	return fault.New(fault.Invalid, "registration_refused", strings.Join(slices.Compact(lines), "\n"))
}
