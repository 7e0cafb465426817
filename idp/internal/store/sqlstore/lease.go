package sqlstore

import (
	"context"

	"ellis.example/idp/internal/lease"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/unit"
)

var _ lease.Reader = (*Store)(nil)

func leaseWrites() []applier {
	return []applier{on(applyTake), on(applyRenew), on(applyRelease), on(applyHeld)}
}

// Lease implements lease.Reader.
func (s *Store) Lease(ctx context.Context, name string) (lease.Row, error) {
	r := lease.Row{Name: name}
	err := s.db.Row(ctx, `SELECT holder, fence, beat FROM leases WHERE name = ?`, name).Scan(&r.Holder, &r.Fence, &r.Beat)
	return r, sqldb.Or(err, nil)
}

func applyTake(t *sqldb.Tx, w lease.Take) error {
	if w.Was.Fence == 0 {
		return t.MustOne(w, "taken", `INSERT INTO leases (name, holder, fence, beat, at) VALUES (?,?,1,1,?)`, w.Was.Name, w.Holder, micros(w.At))
	}
	return t.MustOne(w, "taken", `UPDATE leases SET holder = ?, fence = fence + 1, beat = beat + 1, at = ? WHERE name = ? AND holder = ? AND fence = ? AND beat = ?`,
		w.Holder, micros(w.At), w.Was.Name, w.Was.Holder, w.Was.Fence, w.Was.Beat)
}

func applyRenew(t *sqldb.Tx, w lease.Renew) error {
	return t.MustOne(w, "lost", `UPDATE leases SET beat = beat + 1, at = ? WHERE name = ? AND fence = ? AND holder <> ''`, micros(w.At), w.Name, w.Fence)
}

func applyRelease(t *sqldb.Tx, w lease.Release) error {
	return t.MustOne(w, "lost", `UPDATE leases SET holder = '', beat = beat + 1, at = ? WHERE name = ? AND fence = ? AND holder <> ''`, micros(w.At), w.Name, w.Fence)
}

// applyHeld locks the row for the rest of the transaction: a successor waits until what was written under it is there.
func applyHeld(t *sqldb.Tx, w lease.Held) error {
	return t.MustFind(w, "lost", `SELECT 1 FROM leases WHERE name = ? AND fence = ? AND holder <> '' FOR SHARE`, w.Name, w.Fence)
}

// Under returns the same store as somebody uses it whose every write is under a condition, such as that a lease is held.
func (s *Store) Under(condition func() unit.Write) *Store {
	return &Store{db: s.db, condition: condition, fed: s.fed, watch: s.watch}
}

// bound puts what a caller wants (nil: nothing) under the condition of the store.
func (s *Store) bound(apply func(*sqldb.Tx) error) func(*sqldb.Tx) error {
	if s.condition == nil {
		return apply
	}
	w := s.condition()
	return func(t *sqldb.Tx) error {
		if err := applyWrite(t, w); err != nil || apply == nil {
			return err
		}
		return apply(t)
	}
}

// maintain is sqldb.Maintain under the condition of the store.
func (s *Store) maintain(ctx context.Context, apply func(*sqldb.Tx) error) error {
	return s.db.Maintain(ctx, s.bound(apply))
}
