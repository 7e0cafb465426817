package keyring

import (
	"context"
	"fmt"
	"strconv"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/unit"
)

// Sealed is a value that the key-encryption key keeps secret, where it stands.
type Sealed struct {
	Place string // one of the store's places, named like its table
	Row   string
	Owner string // what it is bound to
	Older string // what an earlier release bound it to, if that was something else
	Value []byte
}

// SealedReader is what the change of the key-encryption key asks of a store.
type SealedReader interface {
	// SealedPlaces names all places with sealed values.
	SealedPlaces() []string
	// SealedValues lists values of a place by row, those after a row only, at most limit.
	SealedValues(ctx context.Context, place, after string, limit int) ([]Sealed, error)
	// SealedUnder lists the keys that any value of a place names. It is cheap, however many values there are.
	SealedUnder(ctx context.Context, place string) ([]seal.KeyID, error)
}

// Reseal replaces a sealed value by the same one under another key. Condition: it is still Old.
type Reseal struct {
	Place, Row string
	Old, New   []byte
}

// UnitWrite implements unit.Write.
func (Reseal) UnitWrite() {}

// ErrKeyMissing is returned when values are sealed under a key that was not given.
var ErrKeyMissing = fault.New(fault.Internal, "kek_missing", "stored secrets are sealed under a key-encryption key that was not given")

// CheckSealed looks whether every key that sealed anything was given, so that nothing is sealed beside what cannot be
// opened. It opens nothing. Errors: ErrKeyMissing, whose cause names places and keys; those of the store.
func CheckSealed(ctx context.Context, s *seal.Sealer, r SealedReader) error {
	given := map[seal.KeyID]bool{}
	for _, id := range s.Keys() {
		given[id] = true
	}
	for _, place := range r.SealedPlaces() {
		under, err := r.SealedUnder(ctx, place)
		if err != nil {
			return err
		}
		for _, id := range under {
			if !given[id] {
				return ErrKeyMissing.Because(fmt.Errorf("%s names key %s; given: %v", place, id, s.Keys()))
			}
		}
	}
	return nil
}

const (
	rewrapBatch = 200
	// rewrapPasses bounds how often all is gone through again for what was sealed under another key meanwhile.
	rewrapPasses = 5
	// maxNamed bounds how many rows are named of those that cannot be opened.
	maxNamed = 100
)

// Rewrapped is what became of the values of one place.
type Rewrapped struct {
	Place    string   `json:"place"`
	Values   int      `json:"values"`             // that were there at the end
	Resealed int      `json:"resealed"`           // under the first key now, and not before
	Left     int      `json:"left"`               // under another key: somebody seals with one all the time
	Closed   int      `json:"closed"`             // nobody's key opens them
	Rows     []string `json:"unopened,omitempty"` // the first of those
}

// RewrapStore is what a Rewrapper reads.
type RewrapStore interface {
	SealedReader
	KEKReader
}

// Rewrapper makes the first key of a sealer the active one and brings all that is sealed under it, beside providers that serve.
type Rewrapper struct {
	Store  RewrapStore
	Commit unit.Committer
	Seal   *seal.Sealer
	Clock  clock.Clock
	Actor  string // for the audit
	Dry    bool   // count only: Left is what would be resealed
}

// Run opens every value and seals again what is not under the first key, in batches that each leave an event. A value that
// changed meanwhile is looked at again; one that cannot be opened stays as it is and is counted. It may be ended and run
// again at any time. Errors: ErrReplicaBehind, before anything is done; those of the store; what was done until then is in the
// result.
func (w *Rewrapper) Run(ctx context.Context) (out []Rewrapped, err error) {
	if err := w.activate(ctx); err != nil {
		return nil, err
	}
	for _, place := range w.Store.SealedPlaces() {
		r := Rewrapped{Place: place}
		for range rewrapPasses {
			before := r.Resealed
			if err = w.pass(ctx, &r); err != nil || w.Dry || (r.Left == 0 && r.Resealed == before) {
				break
			}
		}
		if out = append(out, r); err != nil {
			return out, err
		}
	}
	return out, nil
}

// pass goes once through a place and counts anew all but what was resealed.
func (w *Rewrapper) pass(ctx context.Context, r *Rewrapped) error {
	r.Values, r.Left, r.Closed, r.Rows = 0, 0, 0, nil
	for after := ""; ; {
		list, err := w.Store.SealedValues(ctx, r.Place, after, rewrapBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		after = list[len(list)-1].Row
		r.Values += len(list)
		todo, err := w.due(list, r)
		if err != nil {
			return err
		}
		if w.Dry {
			r.Left += len(todo)
			continue
		}
		if err := w.commit(ctx, todo, r); err != nil {
			return err
		}
	}
}

// due opens a batch and seals again what stands under another key, or is bound as it was in an earlier release.
func (w *Rewrapper) due(list []Sealed, r *Rewrapped) (todo []unit.Write, err error) {
	for _, v := range list {
		plain, err := w.Seal.Open(v.Value, v.Owner)
		if err == nil && w.Seal.Current(v.Value) {
			continue
		}
		if err != nil && v.Older != "" {
			plain, err = w.Seal.Open(v.Value, v.Older)
		}
		if err != nil {
			if r.Closed++; len(r.Rows) < maxNamed {
				r.Rows = append(r.Rows, v.Row)
			}
			continue
		}
		again, err := w.Seal.Seal(plain, v.Owner)
		if err != nil {
			return nil, err
		}
		todo = append(todo, Reseal{v.Place, v.Row, v.Value, again})
	}
	return todo, nil
}

// commit writes a batch; where somebody changed one of its values meanwhile, each value for itself.
func (w *Rewrapper) commit(ctx context.Context, todo []unit.Write, r *Rewrapped) error {
	if len(todo) == 0 {
		return nil
	}
	err := w.Commit.Commit(ctx, unit.Unit{Writes: todo, Event: w.event(r.Place, len(todo))})
	switch {
	case err == nil:
		r.Resealed += len(todo)
		return nil
	case !unit.IsConflict(err):
		return err
	case len(todo) == 1:
		r.Left++
		return nil
	}
	for i := range todo {
		if err := w.commit(ctx, todo[i:i+1], r); err != nil {
			return err
		}
	}
	return nil
}

func (w *Rewrapper) event(place string, n int) audit.Event {
	return audit.Event{Type: "kek.rewrapped", Outcome: audit.Allowed, Actor: w.Actor, Detail: map[string]string{
		"place": place, "values": strconv.Itoa(n), "key": w.Seal.Keys()[0].String(),
	}}
}
