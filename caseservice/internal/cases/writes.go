package cases

import (
	"context"
	"time"
)

// The numbers of claiming (a person may err, nobody may search).
const (
	CodeLife      = 90 * 24 * time.Hour // a claim code is good for this long
	MaxTries      = 5                   // tries of one person within TryWindow
	TryWindow     = 24 * time.Hour
	FreeTries     = 3                // tries for one receipt number before delays begin
	MaxBackoff    = time.Minute      // the longest delay between tries for one receipt number: never a lock
	BackoffMemory = time.Hour        // after this long without a try the delays begin anew
	KeyLife       = 24 * time.Hour   // an Idempotency-Key is remembered for this long
	KeyPatience   = 30 * time.Second // a call that has not ended after this long is taken for dead
)

// Create stores a new case. Condition: no case has this receipt or identifier.
type Create struct {
	Case         Case
	Events       []Event
	Appointments []Appointment
	CodeMAC      []byte    // nil when the case cannot be claimed by code
	CodeExpires  time.Time // meaningful with CodeMAC
}

// Assign makes sub the owner of a case by decision of staff. Condition: the case exists and has no owner.
type Assign struct {
	CaseID string
	Sub    string
	At     time.Time
	Event  string // identifier of the event that tells of it
}

// Reissue gives a case another claim code: the one before ends. Condition: the case exists and has no owner.
type Reissue struct {
	CaseID      string
	CodeMAC     []byte
	CodeExpires time.Time
}

// CountTry spends one of sub's tries and opens the back-off of a receipt number. Condition: sub has a try left, the
// back-off of the receipt number is over, and claims are not paused after a restore. It is committed before a code is looked at, so that parallel guesses are
// counted exactly.
type CountTry struct {
	Sub        string
	ReceiptMAC []byte
	At         time.Time
}

// Redeem spends a claim code and makes sub the owner. Condition: the code is this one, unused and not expired, and the
// case has no owner. It also gives sub's tries back and ends the back-off of the receipt number.
type Redeem struct {
	CaseID     string
	CodeMAC    []byte
	ReceiptMAC []byte
	Sub        string
	At         time.Time
	Event      string
}

// OpenKey remembers that a call with this Idempotency-Key began. Condition: the key is new for sub, or it has expired, or
// the same request began under it more than KeyPatience ago and never ended.
type OpenKey struct {
	Key
	Request []byte // MAC of the request
	At      time.Time
}

// CloseKey remembers how the call ended. Condition: it was opened with the same At and has not ended.
type CloseKey struct {
	Key
	At      time.Time
	Outcome Outcome
}

// Key is an Idempotency-Key as one person used it.
type Key struct {
	Sub  string
	Hash [32]byte // SHA-256 of the header's value
}

// Outcome is the end of a claim: the identifier of the case, or the public code of what refused it.
type Outcome struct {
	CaseID string
	Fault  string
}

// Remembered is what is known of a key.
type Remembered struct {
	Request []byte
	Done    bool
	Outcome Outcome
	At      time.Time
}

// UnitWrite implements unit.Write.
func (Create) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Assign) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Reissue) UnitWrite() {}

// UnitWrite implements unit.Write.
func (CountTry) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Redeem) UnitWrite() {}

// UnitWrite implements unit.Write.
func (OpenKey) UnitWrite() {}

// UnitWrite implements unit.Write.
func (CloseKey) UnitWrite() {}

// ClaimReader is what claiming reads from a store.
type ClaimReader interface {
	// Key returns what is known of an Idempotency-Key that has not expired.
	Key(ctx context.Context, k Key, now time.Time) (r Remembered, ok bool, err error)
	// Waits returns how long sub, and anybody for this receipt number, have to wait before the next try; 0 is not at all.
	// Errors: a fault of kind Unavailable with its time, while nobody may try.
	Waits(ctx context.Context, sub string, receiptMAC []byte, now time.Time) (person, receipt time.Duration, err error)
}

// Forget removes what has lost its meaning by now: old Idempotency-Keys, tries and back-offs. It has no condition.
type Forget struct{ Now time.Time }

// UnitWrite implements unit.Write.
func (Forget) UnitWrite() {}
