package cases

import (
	"slices"
	"time"
)

// The scopes of this API.
const (
	ScopeRead  = "cases:read"
	ScopeClaim = "cases:claim"
	ScopeStats = "cases:stats"
)

// Authentication context class references of the issuer.
const (
	ACR1 = "urn:ellis:aal1"
	ACR2 = "urn:ellis:aal2"
)

// Caller is who asks, as one verified access token says (RFC 9068 §2.2). It is immutable once made and shared between
// requests.
type Caller struct {
	Sub      string    // subject, pairwise for this service; the client's own id for a machine
	ClientID string    // the app that asks
	Txn      string    // all that follows from one authorization, as this service knows it
	JTI      string    // the token
	SID      string    // the session at the issuer, as this service knows it
	ACR      string    // how well the person was authenticated
	AuthTime time.Time // when; zero for machines
	Scopes   []string
	Expires  time.Time // the token's end
}

// Machine reports whether the caller is a client on its own behalf (client credentials), where RFC 9068 §2.2 makes the
// subject the client's identifier.
func (c *Caller) Machine() bool { return c.Sub == c.ClientID }

// Has reports whether the token carries the scope, exactly.
func (c *Caller) Has(scope string) bool { return slices.Contains(c.Scopes, scope) }
