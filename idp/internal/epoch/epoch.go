package epoch

import (
	"context"
	"time"

	"ellis.example/idp/internal/fault"
)

// Epoch counts how often a restored database was accepted. Everything that was issued in an earlier epoch is void.
type Epoch struct {
	N  int64
	At time.Time // when it began; zero for the first
}

// Settle is how long a replica that finds a new epoch refuses every write: what was read before it is over by then, and
// every view of registrations and keys has been renewed.
const Settle = 3 * time.Second

// StepSeconds is the time step of one-time codes (RFC 6238 §4).
const StepSeconds = 30

// The faults of epochs.
var (
	ErrRaised  = (&fault.Error{Kind: fault.Unavailable, Code: "epoch_raised", Message: "the database was restored: everything that was issued before is void; try again soon"}).After(Settle)
	ErrSetBack = (&fault.Error{Kind: fault.Unavailable, Code: "database_set_back", Message: "the database was set back and not accepted: nothing is written before `idp restore --accept`"}).After(10 * time.Second)
	ErrCopy    = fault.New(fault.Conflict, "restored_copy", "the database is a copy that was restored and not accepted: serving it would bring spent and revoked things back; run `idp restore --accept`")
)

// Reader is what epoch logic asks of a store.
type Reader interface {
	// Epoch returns the present epoch.
	Epoch(ctx context.Context) (Epoch, error)
	// IsCopy reports whether the database is a copy that was not accepted yet.
	IsCopy(ctx context.Context) (bool, error)
}

// Raise begins the next epoch and ends what was issued in earlier ones: every session, grant and mail link, and the one-time
// codes up to the next time step. Condition: From is the present epoch. It stands alone in its transaction.
type Raise struct {
	From int64
	At   time.Time
	// Unknown is set where nobody can say what happened after the copy was made: every unused recovery code ends too.
	Unknown bool
	// Lock is set where accounts of which nobody can know are locked, and secrets of clients taken away.
	Lock bool
}

// VoidRecoveryCodes ends the unused recovery codes of one account. No condition.
type VoidRecoveryCodes struct {
	Account string
	At      time.Time
}

// VoidSecret takes the secret of a client away, so that none matches until it is given another. No condition.
type VoidSecret struct {
	Client string
	At     time.Time
}

// UnitWrite implements unit.Write.
func (Raise) UnitWrite() {}

// UnitWrite implements unit.Write.
func (VoidRecoveryCodes) UnitWrite() {}

// UnitWrite implements unit.Write.
func (VoidSecret) UnitWrite() {}
