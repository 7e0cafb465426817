package sqldb

import (
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
	// Save notes where the writer's chain ends, if it ended at from until now, and returns of how many rows that was true.
	Save(t *Tx, id int64, from, to chain.Head) (int64, error)
}

// Entry is an event of a batch, when it happened and its record.
type Entry struct {
	At     time.Time
	Record chain.Record
	Event  unit.Event
}
