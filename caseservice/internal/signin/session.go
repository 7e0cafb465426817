package signin

import (
	"context"
	"crypto/sha256"
	"time"

	"ellis.example/caseservice/internal/rate"
)

// Limits of a session (NIST SP 800-63B-4 §2.2.3 asks for less at AAL2).
const (
	IdleTimeout     = 15 * time.Minute
	AbsoluteTimeout = 12 * time.Hour
)

// AttemptLifetime is how long a person has to come back from the issuer: longer than the issuer's own patience, so that
// it is the one to say what to do.
const AttemptLifetime = time.Hour

// RenewalLease is how long a process may take to renew tokens: longer than it waits for the issuer and for
// the store.
const RenewalLease = httpTimeout + saveTimeout + 2*time.Second

// EndedFor is how long a store may tell again what a session was that has ended.
const EndedFor = time.Minute

// Key names a session or an attempt in a store: the hash of a secret of 256 bits that the browser holds.
type Key [sha256.Size]byte

// Session is one person signed in with one browser. It is never written to a log: its parts hide themselves.
type Session struct {
	ID        string // names it in the log; opens nothing
	Issuer    string
	Subject   string // sub of the ID token; with Issuer it is the person (OpenID Connect Core §5.7)
	SID       string // the issuer's session, as this client knows it
	ACR       string
	AuthTime  time.Time
	CreatedAt time.Time
	LastSeen  time.Time
	Tokens    Tokens
	Claim     *Claim // what the person typed and has not sent yet
	Notice    string // what the next page says was done: a key of the catalogue
}

// Alive reports whether the session may still be used.
func (s Session) Alive(now time.Time) bool {
	return now.Before(s.LastSeen.Add(IdleTimeout)) && now.Before(s.CreatedAt.Add(AbsoluteTimeout))
}

// Tokens are what the issuer gave for the session.
type Tokens struct {
	Access        string
	AccessExpires time.Time
	Refresh       string // empty: the issuer gave none
}

// String keeps tokens out of logs that print values.
func (Tokens) String() string { return "tokens (hidden)" }

// GoString keeps tokens out of logs that print values.
func (Tokens) GoString() string { return "tokens (hidden)" }

// Claim is a case that the person wants to add: kept at the server while they prove who they are.
type Claim struct {
	Owner   string // subject of who typed it: a sign-in of anybody else drops it
	Receipt string
	Code    string
	// Key is the Idempotency-Key: the same for each repeat of this attempt of the person.
	Key string
}

// Same reports whether both ask for the same.
func (c Claim) Same(other Claim) bool { return c.Receipt == other.Receipt && c.Code == other.Code }

// of returns the claim if it is the subject's, else nil.
func (c *Claim) of(subject string) *Claim {
	if c == nil || c.Owner == "" || c.Owner != subject {
		return nil
	}
	return c
}

// String keeps a claim code out of logs that print values.
func (Claim) String() string { return "claim (hidden)" }

// GoString keeps a claim code out of logs that print values.
func (Claim) GoString() string { return "claim (hidden)" }

// Store keeps sessions, and which attempts were used. What it loses costs the person one sign-in.
type Store interface {
	// AddSession keeps a new session.
	AddSession(ctx context.Context, k Key, s Session) error
	// Session returns a session, alive or not. Errors: ErrNoSession.
	Session(ctx context.Context, k Key) (Session, error)
	// UpdateSession changes a session atomically and returns the result. change may be called more than once. Errors: ErrNoSession.
	UpdateSession(ctx context.Context, k Key, change func(*Session)) (Session, error)
	// EndSession ends a session: from its return on nobody finds it. It returns what it was, to at least one caller; for
	// EndedFor it may do so again, so that a caller whose answer was lost asks again. Errors: ErrNoSession.
	EndSession(ctx context.Context, k Key) (Session, error)
	// Count counts one request of whoever k names, if limit lets it through; otherwise it returns how long to wait. What is
	// lost starts anew.
	Count(ctx context.Context, k Key, limit rate.Limit) (wait time.Duration, err error)
	// SpendAttempt notes that an attempt was used, for AttemptLifetime: to exactly one caller. It spares the issuer a code
	// that comes twice, which it takes for theft; what is forgotten here opens nothing. Errors: ErrAttemptUnknown.
	SpendAttempt(ctx context.Context, k Key) error
	// HoldRenewal takes the sole right to renew a session's tokens, for RenewalLease at the most, among all processes that share
	// the store: an issuer takes a refresh token that comes twice for stolen. ok is false while somebody has it. release
	// gives it back.
	HoldRenewal(ctx context.Context, k Key) (release func(), ok bool, err error)
}
