package keyring

import (
	"context"
	"errors"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/unit"
)

// The faults of revoking a pair.
var (
	ErrUnknownKey = fault.New(fault.NotFound, "key_not_found", "there is no signing key with this kid")
	ErrDiscarded  = fault.New(fault.Conflict, "key_discarded", "this key was revoked before")
)

// Revoke discards one pair at once, wherever it stands in its life: it is published no more, and nothing that it signed is
// good. One that signed, or was about to, is replaced: the next pair signs from now on, and a new one is published. Errors:
// ErrUnknownKey; ErrDiscarded; ErrSigner; *unit.Conflict when somebody else changes keys at this moment; those of the store.
func (r *Ring) Revoke(ctx context.Context, kid string) error {
	r.making.Lock()
	defer r.making.Unlock()
	have, err := r.d.Store.Keys(ctx)
	if err != nil {
		return err
	}
	u, err := r.revocation(ctx, have, kid)
	if err != nil {
		return err
	}
	err = r.change(ctx, have, u)
	return errors.Join(err, r.Refresh(ctx))
}

func (r *Ring) revocation(ctx context.Context, have []Key, kid string) (u unit.Unit, err error) {
	var bad Key
	for _, k := range have {
		if k.ID == kid {
			bad = k
		}
	}
	switch bad.State {
	case "":
		return u, ErrUnknownKey
	case Discarded:
		return u, ErrDiscarded
	}
	now := r.d.Clock.Now()
	u = unit.Unit{Writes: []unit.Write{Move{bad.ID, bad.State, Discarded, now}}, Event: r.event("key.revoked", []Key{bad}, "")}
	var want []Key
	next, ready := find(have, bad.Alg, Next)
	switch {
	case bad.State == Active && ready:
		u.Writes = append(u.Writes, Move{next.ID, Next, Active, now})
	case bad.State == Active:
		want = append(want, Key{Alg: bad.Alg, State: Active})
	}
	if bad.State == Active || bad.State == Next {
		want = append(want, Key{Alg: bad.Alg, State: Next})
	}
	made, err := r.generateAll(ctx, want)
	u.Writes = append(u.Writes, adds(made)...)
	return u, err
}

// Refresh looks for changes of pairs now.
func (r *Ring) Refresh(ctx context.Context) error { _, err := r.view.Refresh(ctx); return err }
