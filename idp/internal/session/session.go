package session

import (
	"context"
	"slices"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
)

// Lifetimes (NIST SP 800-63B-4 §2.2.3 asks for at most 24 h and 1 h at AAL2).
const (
	IdleTimeout     = 15 * time.Minute
	AbsoluteTimeout = 12 * time.Hour
)

// Authentication context class references: what a session proves.
const (
	AAL1 = "urn:ellis:aal1" // one factor
	AAL2 = "urn:ellis:aal2" // two factors, one of them replay resistant
)

// Authentication method references (RFC 8176 §2).
const (
	AMRPassword = "pwd"
	AMRTOTP     = "otp"
	AMRMultiple = "mfa"
)

// Session is a person at a browser. ID names it for good; the cookie's secret changes at every change of assurance.
type Session struct {
	ID        string // "ses_…"
	Account   string
	Device    string // "dev_…"
	CreatedAt time.Time
	// AuthTime is when the person last actively authenticated in this session (auth_time).
	AuthTime time.Time
	// FactorTime is when a second factor was last proven; zero if never.
	FactorTime time.Time
	LastSeen   time.Time
	ACR        string
	AMR        []string // sorted
	UserAgent  string
	IP         string
	EndedAt    time.Time // zero while it lives
}

// Alive reports whether the session may be used at now. One that a wrong clock began in the future may not.
func (s Session) Alive(now time.Time) bool {
	return s.EndedAt.IsZero() && !clock.Future(s.CreatedAt, now) && now.Before(s.LastSeen.Add(IdleTimeout)) && now.Before(s.CreatedAt.Add(AbsoluteTimeout))
}

// Satisfies reports whether the session proves at least the given class. An unknown class is never satisfied.
func (s Session) Satisfies(acr string) bool {
	return slices.Contains([]string{AAL1, AAL2}, acr) && (acr == AAL1 || s.ACR == AAL2)
}

// ErrNotFound is returned when there is no such session, or none that lives.
var ErrNotFound = fault.New(fault.Unauthenticated, "no_session", "not signed in")

// ErrNoDevice is returned for a browser that the account never signed in from.
var ErrNoDevice = fault.New(fault.NotFound, "no_device", "not a known device")

// touchEvery is how stale LastSeen may get before it is worth a write.
const touchEvery = time.Minute

// NeedsTouch reports whether the last use that is noted is too long ago.
func (s Session) NeedsTouch(now time.Time) bool { return now.Sub(s.LastSeen) >= touchEvery }

// Reader is what session logic asks of a store.
type Reader interface {
	// SessionByCookie finds the session whose current cookie hashes to h, ended ones included. Errors: ErrNotFound.
	SessionByCookie(ctx context.Context, h [32]byte) (Session, error)
	// Session returns one by id, ended ones included. Errors: ErrNotFound.
	Session(ctx context.Context, id string) (Session, error)
	// SessionsOf lists the sessions of an account that have not ended and not outlived AbsoluteTimeout at now.
	SessionsOf(ctx context.Context, account string, now time.Time) ([]Session, error)
	// Device returns the device of an account whose cookie hashes to h. Errors: ErrNoDevice.
	Device(ctx context.Context, account string, h [32]byte) (Device, error)
	// KnownBrowser reports whether anybody signed in after since with the device cookie that hashes to h.
	KnownBrowser(ctx context.Context, h [32]byte, since time.Time) (bool, error)
}
