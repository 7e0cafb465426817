package ledger

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ellis.example/caseservice/internal/chain"
	"ellis.example/caseservice/internal/unit"
	"ellis.example/caseservice/internal/witness"
)

// Outcome says how an access ended.
type Outcome string

// The outcomes.
const (
	Allowed Outcome = "allowed"
	Refused Outcome = "refused" // the policy said no, or the input was wrong
)

// Purpose is why somebody looked.
type Purpose string

// The purposes.
const (
	SelfService Purpose = "self_service" // a person about their own case
	Statistics  Purpose = "statistics"   // a machine client that counts
	Operation   Purpose = "operation"    // a command of an operator, or what it brought back
)

// Entry is one access. The order of its members and their names are part of the canonical text: add at the end, omit
// when empty, never rename.
type Entry struct {
	Act     string  `json:"act"`
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"` // what was missing, when refused; what was lost, when a restore was accepted
	Case    string  `json:"case,omitempty"`   // as asked for, when it was known to us
	Sub     string  `json:"sub,omitempty"`
	Client  string  `json:"client_id,omitempty"`
	Txn     string  `json:"txn,omitempty"`
	JTI     string  `json:"jti,omitempty"`
	Actor   string  `json:"actor,omitempty"` // operator:<os user>, for commands
	Purpose Purpose `json:"purpose,omitempty"`
	Request string  `json:"request,omitempty"` // request id, as in the log
}

// EventType implements unit.Event.
func (e Entry) EventType() string { return e.Act }

var _ unit.Event = Entry{}

// Stored is an entry with its place.
type Stored struct {
	Writer string    `json:"writer"`
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"` // microseconds, UTC
	Entry
}

// Line is an entry as people read it: when, what, how it went, and the identifiers in a fixed order.
func (s Stored) Line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-12s %-8s", s.At.UTC().Format("2006-01-02T15:04:05.000Z"), s.Act, s.Outcome)
	for _, m := range []struct{ name, value string }{
		{"reason", s.Reason}, {"case", s.Case}, {"sub", s.Sub}, {"client", s.Client}, {"txn", s.Txn}, {"jti", s.JTI},
		{"actor", s.Actor}, {"purpose", string(s.Purpose)}, {"request", s.Request},
	} {
		if m.value != "" {
			fmt.Fprintf(&b, " %s=%s", m.name, plain(m.value))
		}
	}
	return b.String()
}

// plain quotes what could change how a terminal shows the line.
func plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r > 0x7e || r == '"' }) {
		return strconv.QuoteToASCII(s)
	}
	return s
}

// Encode returns the canonical text of an entry: one line of JSON, with its time in microseconds since 1970. A store keeps the members in columns and makes this
// text again to verify, so that nothing is stored twice and no column can be changed unseen.
func Encode(at time.Time, e Entry) []byte {
	t := chain.NewText(512)
	t.Open()
	t.Int("at", at.UnixMicro())
	t.String("act", e.Act)
	t.String("outcome", string(e.Outcome))
	t.Some("reason", e.Reason)
	t.Some("case", e.Case)
	t.Some("sub", e.Sub)
	t.Some("client_id", e.Client)
	t.Some("txn", e.Txn)
	t.Some("jti", e.JTI)
	t.Some("actor", e.Actor)
	t.Some("purpose", string(e.Purpose))
	t.Some("request", e.Request)
	t.Close()
	return t.Bytes()
}

// Report is the result of a verification.
type Report struct {
	Writers     int               `json:"writers"`
	Records     int64             `json:"records"`
	Checkpoints int               `json:"checkpoints"`
	Restores    []witness.Restore `json:"restores,omitempty"` // that checkpoints tell of
	Broken      *chain.Broken     `json:"broken,omitempty"`   // the first bad record, nil when all is well
}

// Reader is what the commands ask of a store.
type Reader interface {
	// Trace returns the entries with this txn or jti, in the order in which they happened.
	Trace(ctx context.Context, id string) ([]Stored, error)
	// Tail returns the last n entries, oldest first; with after (writer → number) only those that came since.
	Tail(ctx context.Context, after map[string]int64, n int) ([]Stored, error)
	// Verify follows every chain from its first record to its head, and compares it with checkpoints, if there are any.
	Verify(ctx context.Context, points ...witness.Checkpoint) (Report, error)
}
