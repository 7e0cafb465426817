package flow

import (
	"context"
	"net/url"
	"time"

	"ellis.example/idp/internal/fault"
)

// Lifetime is how long a person has to finish a flow.
const Lifetime = 30 * time.Minute

// Kind tells what a flow leads to.
type Kind string

// The kinds of flow.
const (
	Authorization Kind = "authorization" // leads to a code for a client
	Visit         Kind = "visit"         // leads to a page of this provider
)

// Flow is one pending authorization.
type Flow struct {
	ID        string   // "flw_…"
	Kind      Kind     //
	Browser   [32]byte // hash of the flow cookie of the browser that started it; nobody else may continue it
	Txn       string   // "txn_…": names everything that follows from it in the audit
	StartedAt time.Time
	ExpiresAt time.Time
	Version   int64 // writes are conditional on it

	Client   string     // Authorization: client_id
	Request  url.Values // Authorization: the validated request, without credentials
	ReturnTo string     // Visit: path on this origin
	Want     Want

	Pending *Pending // a password was proven, the second factor is still to come
	Consent *Fresh   // the person allowed it in this flow
	Denied  bool     // the person said no
	// Known is set once somebody has proven who they are: in this flow, or by a session that was there. Strangers have no
	// share in what is kept for such flows.
	Known bool `json:",omitempty"`
	// Epoch is the one in which the flow was written. Package epoch sets and checks it.
	Epoch int64 `json:",omitempty"`
}

// MaxSize is how much a store keeps of one flow, in bytes of JSON.
const MaxSize = 8 << 10

// Proven reports whether the flow is more than what anybody can send.
func (f Flow) Proven() bool { return f.Known || f.Pending != nil || f.Consent != nil }

// Want is what the request asks of the sign-in.
type Want struct {
	Prompts   []string       // none | login | consent | select_account (OpenID Connect Core §3.1.2.1)
	MaxAge    *time.Duration // nil: no limit; 0: only a sign-in within this flow will do
	ACR       []string       // acr_values in order of preference
	Account   string         // no other account will do
	Subject   string         // id_token_hint: whom it names, as the client knows them; nobody else will do
	LoginHint string         // what to put into the form
	Locales   []string       // ui_locales
	Scopes    []string       // to be allowed
	API       string         // id of the API that the token will be for; empty: UserInfo
	// NeverRemember is set for native clients whose redirect anybody on the device can claim (RFC 8252 §8.6).
	NeverRemember bool
	// NeedSecondFactor is set by our own pages and by clients that insist on it.
	NeedSecondFactor bool
}

// Pending is a half-finished sign-in: bound to the one browser that proved the password by a cookie of its own.
type Pending struct {
	Cookie  [32]byte // hash of the sign-in cookie
	Account string
	At      time.Time
	AMR     []string
}

// Fresh is a consent given in this flow.
type Fresh struct {
	Account string
	Scopes  []string
	At      time.Time
}

// The errors of a flow.
var (
	ErrNotFound = fault.New(fault.Gone, "flow_not_found", "this sign-in has expired or was already finished; start again from the app")
	ErrForeign  = fault.New(fault.Forbidden, "flow_foreign", "this sign-in was started in another browser")
	ErrTooLarge = fault.New(fault.TooLarge, "flow_too_large", "the authorization request is too large: state, nonce and the like add up to more than is kept")
	ErrStale    = fault.New(fault.Conflict, "flow_stale", "this sign-in moved on in another tab")
)

// Store keeps flows until they expire.
type Store interface {
	// PutFlow stores a new flow, or the next version of one. Errors: ErrStale when f.Version is not the stored one's.
	// On success the stored version is f.Version+1. ErrTooLarge when it is larger than MaxSize.
	PutFlow(ctx context.Context, f Flow) error
	// GetFlow returns a flow. Errors: ErrNotFound, also when it has expired.
	GetFlow(ctx context.Context, id string) (Flow, error)
	// DeleteFlow forgets a flow. It is no error if there is none.
	DeleteFlow(ctx context.Context, id string) error
}
