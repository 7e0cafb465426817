package factor

import (
	"context"
	"time"
)

// Reader is what factor logic asks of a store.
type Reader interface {
	// Password returns the record of an account's password and when it was set; empty if there is none.
	Password(ctx context.Context, account string) (record string, at time.Time, err error)
	// TOTPs lists the authenticator apps of an account, oldest first, and the last time step that was used.
	TOTPs(ctx context.Context, account string) (list []TOTP, lastStep int64, err error)
	// RecoveryCodes lists the codes of an account, used ones included.
	RecoveryCodes(ctx context.Context, account string) ([]RecoveryCode, error)
	// HasSecondFactor reports whether the account has an authenticator app.
	HasSecondFactor(ctx context.Context, account string) (bool, error)
}

// SetPassword replaces a password. Condition: the stored record is Old (empty: there is none). With Record equal to Old it
// is the condition alone.
type SetPassword struct {
	Account string
	Old     string
	Record  string
	At      time.Time // when the person chose it: a rehash leaves it as it was
}

// AddTOTP enrols an authenticator app. Condition: its id is new and the account has fewer than MaxTOTPs; none at all if
// First is set, so that a session without a second factor never adds one beside another.
type AddTOTP struct {
	TOTP  TOTP
	First bool
}

// MaxTOTPs is how many authenticator apps an account may have.
const MaxTOTPs = 5

// RemoveTOTP takes an authenticator app off. Condition: the account has it.
type RemoveTOTP struct{ Account, ID string }

// UseStep uses up a time step. Condition: it is later than every step that the account used before (RFC 6238 §5.2).
type UseStep struct {
	Account string
	TOTP    string // id; empty while it is being enrolled
	Step    int64
	At      time.Time
}

// SetRecoveryCodes replaces all codes of an account; none removes them. No condition.
type SetRecoveryCodes struct {
	Account string
	Codes   []RecoveryCode
	At      time.Time
}

// UseRecoveryCode uses up one. Condition: it is there and unused.
type UseRecoveryCode struct {
	Account string
	Hash    [32]byte
	At      time.Time
}

// UnitWrite implements unit.Write.
func (SetPassword) UnitWrite() {}

// UnitWrite implements unit.Write.
func (AddTOTP) UnitWrite() {}

// UnitWrite implements unit.Write.
func (RemoveTOTP) UnitWrite() {}

// UnitWrite implements unit.Write.
func (UseStep) UnitWrite() {}

// UnitWrite implements unit.Write.
func (SetRecoveryCodes) UnitWrite() {}

// UnitWrite implements unit.Write.
func (UseRecoveryCode) UnitWrite() {}
