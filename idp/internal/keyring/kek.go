package keyring

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/unit"
)

// ActivateKEK makes a key-encryption key the one that everything new has to be sealed under. From this commit on nothing that
// is sealed under another one is kept, whoever sealed it: that is ErrKEKReplaced. No condition.
type ActivateKEK struct{ Key seal.KeyID }

// UnitWrite implements unit.Write.
func (ActivateKEK) UnitWrite() {}

// Present says that a replica runs, and which keys it has. No condition.
type Present struct {
	Replica string
	Keys    []seal.KeyID
	At      time.Time
}

// UnitWrite implements unit.Write.
func (Present) UnitWrite() {}

// Absent says that a replica has ended. No condition.
type Absent struct{ Replica string }

// UnitWrite implements unit.Write.
func (Absent) UnitWrite() {}

// PresentEvery is how often a replica says that it runs; PresentFor how long it counts as running after it did.
const (
	PresentEvery = 10 * time.Second
	PresentFor   = time.Minute
)

// Replica is a running provider as it last said of itself.
type Replica struct {
	ID     string
	Keys   []seal.KeyID
	SeenAt time.Time
}

// KEKReader is what is asked of a store about the key that seals.
type KEKReader interface {
	// ActiveKEK returns the key that everything new has to be sealed under; ok is false where none was ever activated.
	ActiveKEK(ctx context.Context) (id seal.KeyID, ok bool, err error)
	// Replicas lists those that said that they run at a time or later.
	Replicas(ctx context.Context, since time.Time) ([]Replica, error)
}

// ErrKEKReplaced is returned for what is sealed under another key than the active one. A replica that has the active key
// soon seals under that.
var ErrKEKReplaced = (&fault.Error{Kind: fault.Unavailable, Code: "kek_replaced", Message: "this server still seals under a key that was replaced; try again soon"}).After(FollowEvery + time.Second)

// FollowEvery is how often a replica looks which key is active.
const FollowEvery = 2 * time.Second

// Follow lets s seal under the active key, whatever its order is. Errors: ErrKeyMissing when s does not have it; those of the store.
func Follow(ctx context.Context, s *seal.Sealer, r KEKReader) error {
	id, ok, err := r.ActiveKEK(ctx)
	if err != nil || !ok || s.Use(id) {
		return err
	}
	return ErrKeyMissing.Because(fmt.Errorf("everything new is sealed under key %s; given: %v", id, s.Keys()))
}

// ErrReplicaBehind is returned when a running replica could not open what is about to be sealed.
var ErrReplicaBehind = fault.New(fault.Conflict, "kek_replica_behind", "a running replica does not have the key")

// activate makes the first key of the sealer the active one. Errors: ErrReplicaBehind, whose cause names who does not have it.
func (w *Rewrapper) activate(ctx context.Context) error {
	first := w.Seal.Keys()[0]
	w.Seal.Use(first)
	list, err := w.Store.Replicas(ctx, w.Clock.Now().Add(-PresentFor))
	if err != nil {
		return err
	}
	var behind []string
	for _, r := range list {
		if !slices.Contains(r.Keys, first) {
			behind = append(behind, fmt.Sprintf("%s (seen %s)", r.ID, r.SeenAt.Format(time.RFC3339)))
		}
	}
	if len(behind) > 0 {
		return ErrReplicaBehind.Because(fmt.Errorf("key %s is unknown to %s", first, strings.Join(behind, ", ")))
	}
	active, ok, err := w.Store.ActiveKEK(ctx)
	if err != nil || w.Dry || ok && active == first {
		return err
	}
	return w.Commit.Commit(ctx, unit.Unit{
		Writes: []unit.Write{ActivateKEK{first}},
		Event:  audit.Event{Type: "kek.activated", Outcome: audit.Allowed, Actor: w.Actor, Detail: map[string]string{"key": first.String()}},
	})
}
