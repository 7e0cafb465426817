package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/unit"
)

// tries bounds how often a lost race with another process is looked at again.
const tries = 8

// Ensure makes what is missing: an active and a next pair of ES256, RS256 and every algorithm in also, and the pairwise
// secret. The first pair of an algorithm signs at once, since nobody was told to expect that algorithm before. It also opens
// every active and next pair, so that a wrong key-encryption key is found at the start. Processes that start together end up with
// one set. Errors: ErrAlgorithm; ErrSigner; seal.ErrOpen; those of the store.
func (r *Ring) Ensure(ctx context.Context, also ...string) error {
	r.making.Lock() // one making at a time: the losers of a race would only make pairs to throw away
	defer r.making.Unlock()
	want := slices.Clone(firstAlgorithms)
	for _, a := range also {
		if !slices.Contains(Algorithms, a) {
			return ErrAlgorithm
		}
		if !slices.Contains(want, a) {
			want = append(want, a)
		}
	}
	for try := 0; ; try++ {
		err := r.ensureKeys(ctx, want)
		if err == nil {
			break
		}
		if !unit.IsConflict(err) || try == tries {
			return err
		}
	}
	if _, err := r.secret(ctx, pairwiseSecret); err != nil {
		return err
	}
	if _, err := r.view.Refresh(ctx); err != nil {
		return err
	}
	return r.usable(ctx)
}

// usable opens every pair that signs or is about to.
func (r *Ring) usable(ctx context.Context) error {
	list, err := r.d.Store.Keys(ctx)
	if err != nil {
		return err
	}
	for _, k := range list {
		if k.State != Active && k.State != Next {
			continue
		}
		if s := r.open(k, nil); s.err != nil {
			return s.err
		}
	}
	return nil
}

// ensureKeys adds the pairs that are missing, in one unit. Losing a race with another process is a conflict.
func (r *Ring) ensureKeys(ctx context.Context, algs []string) error {
	have, err := r.d.Store.Keys(ctx)
	if err != nil {
		return err
	}
	var missing []Key
	for _, a := range algs {
		for _, s := range []State{Active, Next} {
			if _, found := find(have, a, s); !found {
				missing = append(missing, Key{Alg: a, State: s})
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	made, err := r.generateAll(ctx, missing)
	if err != nil {
		return err
	}
	return r.change(ctx, have, unit.Unit{Writes: adds(made), Event: r.event("key.created", made, "")})
}

// change commits a change of pairs. What is held outside the process is deleted there when it was made for a change that
// lost its race, and when it stops being published.
func (r *Ring) change(ctx context.Context, have []Key, u unit.Unit) error {
	err := r.d.Commit.Commit(ctx, u)
	if r.outside == nil {
		return err
	}
	for _, w := range u.Writes {
		var k Key
		switch w := w.(type) {
		case Add:
			if unit.IsConflict(err) { // anything else does not say that it was not kept
				k = w.Key
			}
		case Move:
			if i := slices.IndexFunc(have, func(k Key) bool { return k.ID == w.ID }); err == nil && (w.To == Retired || w.To == Discarded) && i >= 0 {
				k = have[i]
			}
		}
		if k.ID == "" || r.open(k, nil).outside == nil {
			continue
		}
		if e := r.outside.destroy(ctx, k.ID); e != nil {
			err = errors.Join(err, fmt.Errorf("pair %s is of no more use and is still in %s: delete it there: %w", k.ID, r.outside.name(), e))
		}
	}
	return err
}

// generateAll makes one pair for each wanted algorithm and state, side by side: RSA primes take a while.
func (r *Ring) generateAll(ctx context.Context, want []Key) ([]Key, error) {
	made, errs := make([]Key, len(want)), make([]error, len(want))
	var wg sync.WaitGroup
	for i, k := range want {
		wg.Go(func() { made[i], errs[i] = r.generate(ctx, k.Alg, k.State) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, errors.Join(err, r.unmake(ctx, made))
		}
	}
	return made, nil
}

// unmake deletes pairs that nobody will keep where they are held outside: a start that fails is tried again and again, and
// a token holds only so many.
func (r *Ring) unmake(ctx context.Context, made []Key) (err error) {
	for _, k := range made {
		if r.outside == nil || k.ID == "" {
			continue
		}
		if e := r.outside.destroy(ctx, k.ID); e != nil {
			err = errors.Join(err, fmt.Errorf("pair %s is of no use and is still in %s: delete it there: %w", k.ID, r.outside.name(), e))
		}
	}
	return err
}

func adds(keys []Key) (out []unit.Write) {
	for _, k := range keys {
		out = append(out, Add{k})
	}
	return out
}

func (r *Ring) event(typ string, keys []Key, reason string) audit.Event {
	var ids []string
	algs := map[string]bool{}
	for _, k := range keys {
		ids = append(ids, k.ID)
		algs[k.Alg] = true
	}
	var names []string
	for _, a := range Algorithms {
		if algs[a] {
			names = append(names, a)
		}
	}
	return audit.Event{Type: typ, Outcome: audit.Allowed, Reason: reason, Actor: r.d.Actor,
		Detail: map[string]string{"kid": strings.Join(ids, " "), "alg": strings.Join(names, " ")}}
}

// find returns the pair of an algorithm in a state.
func find(list []Key, alg string, s State) (Key, bool) {
	for _, k := range list {
		if k.Alg == alg && k.State == s {
			return k, true
		}
	}
	return Key{}, false
}

// Rotate makes the next pair of alg the active one, publishes a new next, and lets the old one retire. In an emergency every
// live pair of alg is discarded at once, with all tokens that it signed, and new ones take over. Errors: ErrAlgorithm;
// ErrTooSoon; ErrSigner; *unit.Conflict when somebody else rotates at this moment; those of the store.
func (r *Ring) Rotate(ctx context.Context, alg string, emergency bool) error {
	r.making.Lock()
	defer r.making.Unlock()
	have, err := r.d.Store.Keys(ctx)
	if err != nil {
		return err
	}
	active, ok := find(have, alg, Active)
	if !ok {
		return ErrAlgorithm.Because(ErrNoKey)
	}
	u, err := r.rotation(ctx, have, active, emergency)
	if err != nil {
		return err
	}
	err = r.change(ctx, have, u)
	_, e := r.view.Refresh(ctx)
	return errors.Join(err, e)
}

func (r *Ring) rotation(ctx context.Context, have []Key, active Key, emergency bool) (unit.Unit, error) {
	if emergency {
		return r.emergency(ctx, have, active.Alg)
	}
	now := r.d.Clock.Now()
	next, ok := find(have, active.Alg, Next)
	if ready := next.CreatedAt.Add(PublishedFor); !ok || now.Before(ready) {
		return unit.Unit{}, ErrTooSoon.After(ready.Sub(now))
	}
	made, err := r.generate(ctx, active.Alg, Next)
	if err != nil {
		return unit.Unit{}, err
	}
	return unit.Unit{
		Writes: []unit.Write{Move{active.ID, Active, Retiring, now}, Move{next.ID, Next, Active, now}, Add{made}},
		Event:  r.event("key.rotated", []Key{next}, ""),
	}, nil
}

func (r *Ring) emergency(ctx context.Context, have []Key, alg string) (u unit.Unit, err error) {
	for _, k := range have {
		if k.Alg == alg && k.State != Discarded {
			u.Writes = append(u.Writes, Move{k.ID, k.State, Discarded, r.d.Clock.Now()})
		}
	}
	made, err := r.generateAll(ctx, []Key{{Alg: alg, State: Active}, {Alg: alg, State: Next}})
	u.Writes = append(u.Writes, adds(made)...)
	u.Event = r.event("key.rotated", made, "emergency")
	return u, err
}

// Maintain does what is due: pairs that have been retiring for RetiringFor are retired, and pairs that have signed for
// RotateAfter are rotated. It is called now and then by one process or several; losing a race is no error.
func (r *Ring) Maintain(ctx context.Context) error {
	have, err := r.d.Store.Keys(ctx)
	if err != nil {
		return err
	}
	now := r.d.Clock.Now()
	for _, k := range have {
		var err error
		switch {
		case k.State == Retiring && !now.Before(k.EndedAt.Add(RetiringFor)):
			err = r.change(ctx, have, unit.Unit{Writes: []unit.Write{Move{k.ID, Retiring, Retired, now}}, Event: r.event("key.retired", []Key{k}, "")})
		case k.State == Active && !now.Before(k.ActiveAt.Add(RotateAfter)):
			err = r.Rotate(ctx, k.Alg, false)
		}
		if err != nil && !unit.IsConflict(err) && !fault.Of(err).Is(ErrTooSoon) {
			return err
		}
	}
	_, err = r.view.Refresh(ctx)
	return err
}
