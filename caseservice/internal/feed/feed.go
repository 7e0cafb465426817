package feed

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/issuer"
)

var (
	// ErrRevoked is the fault of a token that was revoked before its end.
	ErrRevoked = fault.New(fault.Unauthenticated, "invalid_token", "the access token was revoked")
	// ErrUnknown says that nobody can tell at the moment whether a token was revoked. Nobody is let in meanwhile.
	ErrUnknown = fault.New(fault.Unavailable, "revocation_unknown", "whether the access token still stands cannot be asked at the moment: try again").After(time.Second)
)

// Token is what is known of an access token whose signature and claims were verified.
type Token struct {
	Sum                     [sha256.Size]byte // SHA-256 of its text
	JTI, SID, Txn, Sub, KID string            // SID and Txn may be empty
	Issued                  int64             // iat, in seconds since 1970
	Machine                 bool              // a client's own: no grant and no session stands behind it
}

// Options configure a Feed.
type Options struct {
	Issuer   *issuer.Issuer
	Audience string // exact identifier of this API
	// ClientID and Secret are those under which the issuer knows this API's server.
	ClientID, Secret string
	Patience         time.Duration // how old the view may be; DefaultPatience when zero
	Clock            clock.Clock   // clock.System when nil
	Log              *slog.Logger
	Observe          Observer
}

// Observer is told what happens. Each part may be nil.
type Observer struct {
	// Applied is told of each event: the name of its type, and how long after the issuer wrote it down it took effect here;
	// negative when the event does not say when that was, or when the feed is not followed yet but read from its beginning.
	Applied func(name string, delay time.Duration)
	// Refused is told of each answer that was refused.
	Refused func()
	// Passed is told how many SETs the feed has just gone on without.
	Passed func(n int)
	// Asked is told of each introspection: "active", "inactive", "failed".
	Asked func(outcome string)
}

// The patience: how long the issuer may say nothing. It answers every two seconds.
const (
	DefaultPatience = 5 * time.Second
	MinPatience     = 3 * time.Second
	MaxPatience     = MaxTokenLife
)

// Feed follows one issuer's events for one API. It is safe for concurrent use; Follow runs once.
type Feed struct {
	issuer           *issuer.Issuer
	audience         string
	clientID, secret string
	patience         time.Duration
	clock            clock.Clock
	log              *slog.Logger
	observe          Observer
	polls            *http.Client

	revoked *revoked
	asks    *introspector
	began   time.Time
	heard   atomic.Pointer[time.Time] // when the view was last complete at the issuer; nil: not since a start without a cursor
	doubt   atomic.Pointer[time.Time] // until when the feed is not enough, because something could not be kept

	// Follow's alone:
	cursor  string
	failed  int                  // turns in a row
	applied map[string]bool      // by jti, what came since the cursor last moved
	bad     map[string]time.Time // by jti, since when a SET of the last answer is bad
}

// New returns a Feed that knows nothing yet and is not fresh.
func New(o Options) *Feed {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	f := &Feed{
		issuer: o.Issuer, audience: o.Audience, clientID: o.ClientID, secret: o.Secret, patience: o.Patience,
		clock: o.Clock, log: o.Log, observe: o.Observe.filled(), polls: o.Issuer.Client(pollTimeout),
		revoked: newRevoked(maxKept), began: o.Clock.Now(), applied: map[string]bool{},
	}
	f.asks = newIntrospector(f)
	return f
}

func (o Observer) filled() Observer {
	if o.Applied == nil {
		o.Applied = func(string, time.Duration) {}
	}
	if o.Refused == nil {
		o.Refused = func() {}
	}
	if o.Passed == nil {
		o.Passed = func(int) {}
	}
	if o.Asked == nil {
		o.Asked = func(string) {}
	}
	return o
}

// Check reports whether a token with this text still stands. It has to be asked for each request, after everything else
// about the token was verified. Errors: ErrRevoked, ErrUnknown.
func (f *Feed) Check(ctx context.Context, t *Token, text string) error {
	if f.revoked.voids(t) {
		return ErrRevoked
	}
	if f.fresh(f.clock.Now()) {
		return nil
	}
	return f.asks.check(ctx, t, text)
}

// Fresh reports whether the feed alone can answer now.
func (f *Feed) Fresh() bool { return f.fresh(f.clock.Now()) }

// fresh looks at the steady clock and at the wall's: the first is right when somebody sets the second, the second when the
// machine slept.
func (f *Feed) fresh(now time.Time) bool {
	at := f.heard.Load()
	if at == nil {
		return false
	}
	if until := f.doubt.Load(); until != nil && now.Before(*until) {
		return false
	}
	age := now.Sub(*at)
	return age <= f.patience && age >= -f.patience && now.Round(0).Sub(at.Round(0)) <= f.patience
}

// Age is how long ago the view was complete; before that, how long this process runs.
func (f *Feed) Age() time.Duration {
	if at := f.heard.Load(); at != nil {
		return f.clock.Now().Sub(*at)
	}
	return f.clock.Now().Sub(f.began)
}

// Known returns how many revocations are kept.
func (f *Feed) Known() int { return int(f.revoked.n.Load()) }
