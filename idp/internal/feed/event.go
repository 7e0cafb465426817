package feed

import (
	"context"
	"time"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/ident"
)

// Kind is what has ended.
type Kind string

// The kinds, with what Event.Ref names.
const (
	Session Kind = "session" // a session, by its id
	Grant   Kind = "grant"   // a grant with its tokens, by its transaction
	Token   Kind = "token"   // one access token, by its jti
	Account Kind = "account" // an account in good standing, by its id: nothing issued to it until then is good
	Client  Kind = "client"  // a machine's registration, by its client_id: nothing issued to it until then is good
	Key     Kind = "key"     // a signing key, by its kid
	Epoch   Kind = "epoch"   // everything that was issued until then, by the name of what begins
)

// Lifetimes.
const (
	// Matters is how long an event is of use to who knows nothing yet: the life of an access token, and as much again for
	// clocks that differ.
	Matters = 10 * time.Minute
	// Retention is how long events are kept at least, and how far back a follower may go on from. It is the time that sweeps
	// stay behind the clock.
	Retention = time.Hour
	// Recent is how long after its last use a grant is still told of. It is far more than a token lives, so that a clock that
	// is wrong by hours hides nothing.
	Recent = 24 * time.Hour
)

// Event is one event of one API's line.
type Event struct {
	API  string // id of the API
	Seq  int64  // its number in the API's line, from 1 on
	Kind Kind
	Ref  string    // our own identifier of what ended
	At   time.Time // when it was committed
}

// Line is how one API's line stands.
type Line struct {
	Name  string // of the life of the numbers; another one after the database was set back
	First int64  // the oldest number that is kept; 0: none is
	Last  int64  // the newest that was given; 0: none was
	Since int64  // the oldest whose event is not older than was asked for; 0: none is
}

// Heads is how far all lines go.
type Heads struct {
	Name string
	Last map[string]int64 // by API; one without events is not there
}

// Reader is what following asks of a store.
type Reader interface {
	// FeedLine tells how an API's line stands, and where in it the events after since begin.
	FeedLine(ctx context.Context, api string, since time.Time) (Line, error)
	// FeedEvents lists at most limit events of an API's line with numbers above after, in their order.
	FeedEvents(ctx context.Context, api string, after int64, limit int) ([]Event, error)
	// FeedHeads tells how far all lines go. It is one cheap read.
	FeedHeads(ctx context.Context) (Heads, error)
}

// RaiseEpoch says that everything issued until now is void, to every API, and gives the numbers another life: followers begin
// anew. It is for a database that was set back. No condition.
type RaiseEpoch struct {
	Epoch string // names what begins now
	Line  string // names the new life of the numbers; never the same twice, whatever was restored
}

// NewEpoch returns the write that begins an epoch.
func NewEpoch(name string) RaiseEpoch { return RaiseEpoch{Epoch: name, Line: ident.New("lin")} }

// UnitWrite implements unit.Write.
func (RaiseEpoch) UnitWrite() {}

// The faults of followers.
var (
	ErrCursor  = fault.New(fault.Invalid, "feed_cursor", "the cursor is not known any more: begin again without one, and keep what you know")
	ErrCrowded = fault.New(fault.TooMany, "feed_crowded", "too many polls of this API are waiting: let each replica wait with one").After(time.Second)
	ErrFull    = fault.New(fault.Unavailable, "feed_full", "too many polls are waiting here; try again soon").After(time.Second)
)
