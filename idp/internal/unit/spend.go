package unit

import (
	"context"
	"crypto/sha256"
	"time"
)

// Spend uses up a single-use artefact: a code, a flow, a mail link, an assertion's jti, a TOTP step. Exactly one Spend of
// a (Kind, Key) ever commits; every other one is a *Conflict, on every store and under any concurrency.
type Spend struct {
	Kind  string    // "code", "flow", "assertion" …
	Key   [32]byte  // SHA-256 of what is spent
	Ref   string    // what its use led to (a grant's id), so that a second use can revoke it
	Until time.Time // the tombstone is kept at least this long: past the life of everything that came of it
}

// UnitWrite implements Write.
func (Spend) UnitWrite() {}

// Key hashes the parts of a single-use key, length-prefixed so that no two lists of parts collide.
func Key(parts ...string) [32]byte {
	h := sha256.New()
	for _, p := range parts {
		n := len(p)
		_, _ = h.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		_, _ = h.Write([]byte(p))
	}
	return [32]byte(h.Sum(nil))
}

// SpentReader tells what was spent.
type SpentReader interface {
	// Spent returns the Ref of the Spend of (kind, key), and whether there was one.
	Spent(ctx context.Context, kind string, key [32]byte) (ref string, spent bool, err error)
	// SweptTo returns up to when tombstones may have been swept: of what ended before, nobody can tell whether it was
	// spent. That matters once a clock is set back. Zero: nothing was ever swept.
	SweptTo(ctx context.Context) (time.Time, error)
}
