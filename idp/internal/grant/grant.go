package grant

import (
	"context"
	"time"

	"ellis.example/idp/internal/fault"
)

// Consent is what a person remembered to allow: one row per account, client and scope.
type Consent struct {
	Account string
	Client  string
	Scope   string
	At      time.Time
}

// Grant is one authorization that was issued: everything a code, its refresh family and its access tokens stand on.
// Revoking it kills all of them.
type Grant struct {
	ID       string // "grt_…"
	Account  string
	Client   string
	Session  string // the session it was born in; signing out of that session revokes it
	Scopes   []string
	API      string // id of the API that the access tokens are for; empty: the issuer itself (UserInfo)
	Txn      string // internal transaction id; audiences see a derived one
	AuthTime time.Time
	ACR      string
	AMR      []string
	Nonce    string
	At       time.Time
	Revoked  time.Time // zero while it stands
}

// Family is a line of refresh tokens, each the successor of the one before. At most one is live.
type Family struct {
	ID        string // "fam_…"
	Grant     string
	Client    string
	CreatedAt time.Time
	UsedAt    time.Time // last rotation: inactivity counts from here
	ExpiresAt time.Time // absolute end
	Revoked   time.Time
}

// Refresh is one refresh token of a family, known by its hash only.
type Refresh struct {
	Hash   [32]byte
	Family string
	At     time.Time
	UsedAt time.Time // zero while it is the live leaf
	Child  [32]byte  // hash of its successor, once used
	Sealed []byte    // the successor's text under a key derived from this token's text: for the retry window only
	Scope  string    // of the request that used it, sorted
	// Resource is the resource parameter of the request that used it.
	Resource string
}

// ErrNotFound is returned when there is no such grant, family or token.
var ErrNotFound = fault.New(fault.NotFound, "grant_not_found", "no such grant")

// Reader is what grant logic asks of a store.
type Reader interface {
	// Grant returns one by id, revoked ones included. Errors: ErrNotFound.
	Grant(ctx context.Context, id string) (Grant, error)
	// RefreshByHash returns a refresh token with its family and grant. Errors: ErrNotFound.
	RefreshByHash(ctx context.Context, h [32]byte) (Refresh, Family, Grant, error)
	// AccessToken returns what is kept of an access token and its grant, revoked ones included; a tombstone of
	// RevokeToken alone comes back with Revoked set and no grant. Errors: ErrNotFound.
	AccessToken(ctx context.Context, jti string) (AccessToken, Grant, error)
	// Consents lists what account allowed client.
	Consents(ctx context.Context, account, client string) ([]Consent, error)
	// ConsentsOf lists everything account allowed, by client.
	ConsentsOf(ctx context.Context, account string) ([]Consent, error)
}
