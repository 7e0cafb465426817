package grant

import "time"

// Allow remembers consents. A scope that is remembered already stays as it is.
type Allow struct {
	Account string
	Client  string
	Scopes  []string
	At      time.Time
}

// Withdraw forgets every consent that an account gave a client. It conflicts when there is none and no standing grant.
// Every grant of the pair is revoked with it.
type Withdraw struct {
	Account string
	Client  string
	At      time.Time
}

// Create records a grant. Condition: its id is new.
type Create struct{ Grant Grant }

// Revoke ends one grant with its families and access tokens. No condition: a grant that is revoked stays as it was.
type Revoke struct {
	Grant string
	At    time.Time
}

// RevokeSession ends every grant that was born in a session. No condition.
type RevokeSession struct {
	Session string
	At      time.Time
}

// RevokeAccount ends every grant of an account, but those of one session if one is spared. No condition.
type RevokeAccount struct {
	Account       string
	ExceptSession string
	At            time.Time
}

// RevokeClient ends every grant that was given to a client and forgets the consents. No condition.
type RevokeClient struct {
	Client string
	At     time.Time
}

// RevokeAPI ends every grant that was given to a client for an API. Consents stay: the next grant allows no more than the
// client's registration does. No condition.
type RevokeAPI struct {
	Client, API string
	At          time.Time
}

// Require is a condition alone: the grant stands, unrevoked. It keeps a token from being issued behind a revocation that
// was committed between the read and the write.
type Require struct{ Grant string }

// MachineStands is a condition alone: a token that a client got for itself, and that stands on no grant, was not revoked, as
// far as that is still known, and its client was never without the right to it since. It is as of a moment after the unit was
// handed over, and before any unit that shares its commit: asked for with an answer, it keeps that from being older than a
// revocation that was answered, and one statement looks at the tokens of many requests.
type MachineStands struct {
	JTI    string
	Client string
	API    string
	Issued time.Time // when its API is told that a client lost it, what was issued until then is good no more
	Until  time.Time // of a revocation, were there one: where it may be gone already, the token does not stand
}

// Start begins a refresh family with its first token. Condition: the grant stands and has no family yet.
type Start struct {
	Family Family
	First  Refresh
}

// Rotate replaces the live leaf of a family. Condition: Old is the live leaf, family and grant stand, and the family has
// not ended at At.
type Rotate struct {
	Family   string
	Old      [32]byte
	New      Refresh
	Sealed   []byte // New's text, sealed under a key derived from Old's text
	Scope    string // of the request, sorted
	Resource string // of the request
	At       time.Time
}

// Touch records the use of a refresh token that does not rotate. Condition: it is the live leaf, family and grant stand,
// and the family has not ended at At.
type Touch struct {
	Family string
	Hash   [32]byte
	At     time.Time
}

// RevokeFamily ends a family with its refresh tokens and the access tokens that came of them. No condition.
type RevokeFamily struct {
	Family string
	At     time.Time
}

// AccessToken is what is kept of an access token that was issued for a person: enough to say whether it still stands.
type AccessToken struct {
	JTI       string
	Grant     string
	Family    string // empty: it came of the code alone
	API       string // empty: for the issuer
	Scope     string // sorted, separated by spaces
	At        time.Time
	ExpiresAt time.Time
	Revoked   time.Time
}

// Issue records an access token. Condition: its grant stands.
type Issue struct{ Token AccessToken }

// RevokeToken ends one access token by its jti, also one of which no row was kept (client credentials): a tombstone says
// so until it would have expired anyway. No condition.
type RevokeToken struct {
	JTI   string
	API   string // id of the API that it is for; empty: the issuer itself
	At    time.Time
	Until time.Time
}

// UnitWrite implements unit.Write.
func (MachineStands) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Allow) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Withdraw) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Create) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Revoke) UnitWrite() {}

// UnitWrite implements unit.Write.
func (RevokeSession) UnitWrite() {}

// UnitWrite implements unit.Write.
func (RevokeAccount) UnitWrite() {}

// UnitWrite implements unit.Write.
func (RevokeClient) UnitWrite() {}

// UnitWrite implements unit.Write.
func (RevokeAPI) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Require) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Start) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Rotate) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Touch) UnitWrite() {}

// UnitWrite implements unit.Write.
func (RevokeFamily) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Issue) UnitWrite() {}

// UnitWrite implements unit.Write.
func (RevokeToken) UnitWrite() {}
