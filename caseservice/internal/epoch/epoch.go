package epoch

import (
	"context"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/fault"
)

// Epoch counts how often a restored database was accepted. When it began tells it from another of the same number, which a
// restore of an older copy leads to.
type Epoch struct {
	N  int64
	At time.Time // zero for the first
}

// Settle is how long a replica that finds a new epoch refuses every write: what was read in the old one is over by then.
const Settle = 3 * time.Second

// How long nobody claims after a restore: until tries that were lost would not count any more.
const (
	PauseKnown   = cases.BackoffMemory // the export says who tried, but not which receipt numbers
	PauseUnknown = cases.TryWindow
)

// SeqGap is how far the numbers of events go on behind those that may have been lost.
const SeqGap = 1000

// The faults of epochs.
var (
	ErrRaised    = (&fault.Error{Kind: fault.Unavailable, Code: "epoch_raised", Message: "the database was restored: try again soon"}).After(Settle)
	ErrSetBack   = (&fault.Error{Kind: fault.Unavailable, Code: "database_set_back", Message: "the database was set back and not accepted: nothing is read or written before `caseservice restore --accept`"}).After(10 * time.Second)
	ErrCopy      = fault.New(fault.Unavailable, "restored_copy", "the database is a copy that was restored and not accepted: serving it would bring used codes and lost claims back; run `caseservice restore --accept`")
	ErrMeanwhile = fault.New(fault.Conflict, "epoch_meanwhile", "somebody else has just accepted this database")
	// ErrPaused is the fault of a claim soon after a restore.
	ErrPaused = fault.New(fault.Unavailable, "claims_paused", "the service was restored: claims are taken again later; nothing was counted")
)

// Reader is what epoch logic asks of a store.
type Reader interface {
	// Epoch returns the present epoch.
	Epoch(ctx context.Context) (Epoch, error)
}

// Raise begins the next epoch. Condition: From is the present one. It stands alone in its transaction.
type Raise struct {
	From       int64
	At         time.Time
	ClaimsFrom time.Time // nobody claims before
	EndCodes   bool      // every unused claim code ends
}

// Own makes a person the owner of a case again, if it is there and has none, and spends its code. No condition.
type Own struct {
	CaseID string
	Sub    string
	At     time.Time
	Event  string // identifier of the event that tells of it
	Code   bool   // it was claimed by code, not assigned
}

// EndCode ends the unused claim code of a case. No condition.
type EndCode struct {
	CaseID string
	At     time.Time
}

// Tried counts a try that was lost, as cases.CountTry had counted it. No condition.
type Tried struct {
	Sub string
	At  time.Time
}

// UnitWrite implements unit.Write.
func (Raise) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Own) UnitWrite() {}

// UnitWrite implements unit.Write.
func (EndCode) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Tried) UnitWrite() {}
