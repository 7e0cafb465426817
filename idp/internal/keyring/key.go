package keyring

import (
	"context"
	"time"

	"ellis.example/idp/internal/fault"
)

// CacheLifetime is how long anybody may keep the published set (Cache-Control max-age of the JWKS).
const CacheLifetime = 5 * time.Minute

// PublishedFor is how long a pair is published before it first signs: as long as anybody may keep an older set, and some
// time more, since other replicas see it a moment later and their clocks differ.
const PublishedFor = CacheLifetime + 30*time.Second

// RetiringFor is how long a pair stays published after it signed for the last time. It outlives every token.
const RetiringFor = 24 * time.Hour

// RotateAfter is how long a pair signs before Maintain replaces it.
const RotateAfter = 90 * 24 * time.Hour

// Algorithms are those that pairs can be made for (RFC 7518 §3.1, RFC 8037 §3.1).
var Algorithms = []string{"ES256", "RS256", "PS256", "EdDSA"}

// firstAlgorithms have pairs from the first start on; the others get theirs when a registration asks for them.
var firstAlgorithms = []string{"ES256", "RS256"}

// State is where a pair stands in its life.
type State string

// The states, in order. A pair that was given up in an emergency is Discarded and verifies nothing.
const (
	Next      State = "next"      // published, does not sign yet
	Active    State = "active"    // signs; one for each algorithm
	Retiring  State = "retiring"  // published, signs no more
	Retired   State = "retired"   // not published; verifies only what is old by nature (id_token_hint)
	Discarded State = "discarded" // verifies nothing
)

// Key is a signing pair as it is kept.
type Key struct {
	ID        string    `json:"kid"` // RFC 7638 thumbprint of the public key, SHA-256; random for a pair that is held outside
	Alg       string    `json:"alg"` //
	State     State     `json:"state"`
	Public    []byte    `json:"jwk"` // JWK (RFC 7517 §4)
	Sealed    []byte    `json:"-"`   // PKCS #8 or who holds it, sealed; empty once it is retired or discarded
	CreatedAt time.Time `json:"created_at"`
	ActiveAt  time.Time `json:"active_at,omitzero"` // began to sign
	EndedAt   time.Time `json:"ended_at,omitzero"`  // signed for the last time
}

// ErrNoSecret is returned when there is no secret of that name yet.
var ErrNoSecret = fault.New(fault.NotFound, "secret_not_found", "no such secret")

// ErrNoKey is returned when no pair signs with the algorithm.
var ErrNoKey = fault.New(fault.Internal, "no_signing_key", "no signing key for this algorithm")

// ErrAlgorithm is returned for an algorithm that no pair can be made for.
var ErrAlgorithm = fault.New(fault.Invalid, "signing_alg", "use ES256, RS256, PS256 or EdDSA")

// ErrSigner is returned when what holds a private key outside this process does not answer, or not rightly.
var ErrSigner = fault.New(fault.Unavailable, "signer_unavailable", "tokens cannot be signed at the moment").After(signerRetry)

// ErrTooSoon is returned when the next pair has not been published long enough to sign.
var ErrTooSoon = fault.New(fault.Conflict, "key_too_young", "the next key was published less than one cache lifetime ago: wait, or rotate in emergency mode if the active key has leaked")

// ErrToken is returned for a token that this provider did not sign, or not for this use.
var ErrToken = fault.New(fault.Unauthenticated, "token_invalid", "the token was not signed by this provider for this use")

// Reader is what the keyring asks of a store.
type Reader interface {
	// Keys lists all pairs, discarded ones included, oldest first.
	Keys(ctx context.Context) ([]Key, error)
	// KeysVersion changes whenever any pair does. It is one cheap read.
	KeysVersion(ctx context.Context) (int64, error)
	// SealedSecret returns a secret by name as it is kept. Errors: ErrNoSecret.
	SealedSecret(ctx context.Context, name string) ([]byte, error)
}

// Add keeps a new pair. Condition: its id is new, and no other pair of the algorithm is in the same state when that state is
// Next or Active.
type Add struct{ Key Key }

// UnitWrite implements unit.Write.
func (Add) UnitWrite() {}

// Move brings a pair from one state to another. Condition: it is in state From, and none of its algorithm is in state To
// when that is Next or Active. Retired and Discarded delete the private part.
type Move struct {
	ID       string
	From, To State
	At       time.Time
}

// UnitWrite implements unit.Write.
func (Move) UnitWrite() {}

// AddSecret keeps a new secret. Condition: the name is free.
type AddSecret struct {
	Name   string
	Sealed []byte
	At     time.Time
}

// UnitWrite implements unit.Write.
func (AddSecret) UnitWrite() {}
