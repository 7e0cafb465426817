package sqldb

import (
	"errors"
	"time"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/unit"
)

// Chain says where the events of units go. Its methods run inside the transaction of the unit.
type Chain interface {
	// Encode returns what is hashed of an event.
	Encode(at time.Time, e unit.Event) ([]byte, error)
	// Enter names a writer in the database, before its first event, and returns its row's number.
	Enter(t *Tx, name string, at time.Time) (id int64, err error)
	// Append stores events with their records: those of a whole batch, as a statement by itself costs more than its row.
	Append(t *Tx, id int64, entries []Entry) error
	// Save notes where the writer's chain ends, if it ended at from until now: else, it is in error with moved.
	Save(t *Tx, id int64, from, to chain.Head, moved error) error
}

// Entry is an event of a batch, when it happened and its record.
type Entry struct {
	At     time.Time
	Record chain.Record
	Event  unit.Event
}

// errMoved ends what is written where the chain of this process does not end where it left it: the database was set back, and
// the connection did not end with it, as behind a pooler. Going on would leave a hole that only a verification finds.
var errMoved = errors.New("the chain of this process does not end where it left it: the database was set back or changed underneath; another chain is begun")

// save stores where the chain ends, and the events of the transaction. In this order: behind a chain that moved, others may
// have the places of the events.
func (w *writer) save(before chain.Head) error {
	if w.head == before {
		return nil
	}
	if err := w.db.opt.Chain.Save(w.t, w.id, before, w.head, errMoved); err != nil {
		return err
	}
	return w.db.opt.Chain.Append(w.t, w.id, w.entries)
}
