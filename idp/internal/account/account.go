package account

import (
	"context"
	"time"

	"ellis.example/idp/internal/fault"
)

// Status is what an account may do.
type Status string

// The states of an account.
const (
	Active   Status = "active"
	Disabled Status = "disabled" // by an operator: signs in nowhere, all its tokens are dead
	Locked   Status = "locked"   // by a restore: what happened to it since is not known, so it signs in nowhere until an operator opens it again
	Closed   Status = "closed"   // ended by its owner; identifiers are freed, the id is never used again
	// DisabledLocked is both: whoever takes one of them back leaves the other in place.
	DisabledLocked Status = "disabled_locked"
)

// Lock returns the status with what a restore adds to it. A closed account stays as it is.
func (s Status) Lock() Status {
	switch s {
	case Active:
		return Locked
	case Disabled:
		return DisabledLocked
	}
	return s
}

// Disable returns the status with what an operator adds to it.
func (s Status) Disable() Status {
	switch s {
	case Active:
		return Disabled
	case Locked:
		return DisabledLocked
	}
	return s
}

// Enable returns the status without what an operator added to it.
func (s Status) Enable() Status {
	switch s {
	case Disabled:
		return Active
	case DisabledLocked:
		return Locked
	}
	return s
}

// Account is a person as this provider knows them. Factors, sessions and consents live elsewhere.
type Account struct {
	ID         string // "acc_…"
	Status     Status
	GivenName  string
	FamilyName string
	BirthDate  string // YYYY-MM-DD
	Country    string // country of birth, ISO 3166-1 alpha-2
	Locale     string // preferred language: "en" or "es"
	Email      string // where mail goes (Address); its canonical form is an identifier
	Username   string // as the person wrote it; empty if none was chosen
	// EmailVerifiedAt is when the address was proven. Sign-up proves it first, so it is never zero.
	EmailVerifiedAt time.Time
	CreatedAt       time.Time
	UpdatedAt       time.Time
	// Version rises with every change of the row; writes are conditional on it.
	Version int64
}

// DisplayName is the full name in the order given, family.
func (a Account) DisplayName() string { return a.GivenName + " " + a.FamilyName }

// MaySignIn reports whether the account is in good standing.
func (a Account) MaySignIn() bool { return a.Status == Active }

// ErrNotFound is returned when no such account exists. Pages never tell it from a wrong password.
var ErrNotFound = fault.New(fault.NotFound, "account_not_found", "no such account")

// Reader is what account logic asks of a store.
type Reader interface {
	// Account returns the account with the given id. Errors: ErrNotFound.
	Account(ctx context.Context, id string) (Account, error)
	// AccountByIdentifier finds an account by the canonical form of its e-mail address or user name (one namespace).
	// Errors: ErrNotFound.
	AccountByIdentifier(ctx context.Context, canonical string) (Account, error)
}
