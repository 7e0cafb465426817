package audit

import (
	"encoding/json"
	"slices"
	"time"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/unit"
)

// Outcome says how a decision went.
type Outcome string

// The outcomes.
const (
	Allowed Outcome = "allowed" // done as asked
	Refused Outcome = "refused" // the asker may not, or the input was wrong
	Failed  Outcome = "failed"  // we could not
)

// Event is one decision. Every identifier in it is the internal one; what a relying party or an API saw instead (its
// pairwise subject, its own sid and txn) stands in Seen, so that both ends of a token flow can be joined.
// No event carries a secret, a password, a code or a token.
type Event struct {
	Type    string  `json:"type"`              // noun.verb: "session.started", "token.issued"
	Outcome Outcome `json:"outcome"`           //
	Reason  string  `json:"reason,omitempty"`  // stable code, mostly of the fault that refused
	Actor   string  `json:"actor,omitempty"`   // who did it: account id, "client:<id>", "operator:<os user>", "system"
	Account string  `json:"account,omitempty"` // whom it concerns
	Client  string  `json:"client,omitempty"`  // client_id
	Session string  `json:"session,omitempty"` // session id
	Flow    string  `json:"flow,omitempty"`    // pending authorization id
	Grant   string  `json:"grant,omitempty"`   // grant id
	Family  string  `json:"family,omitempty"`  // refresh family id
	JTI     string  `json:"jti,omitempty"`     // of the access token issued or used
	Txn     string  `json:"txn,omitempty"`     // transaction: all that follows from one authorization
	IP      string  `json:"ip,omitempty"`      // peer address
	Device  string  `json:"device,omitempty"`  // device id
	Request string  `json:"request,omitempty"` // request id, as in the log
	Seen    *Seen   `json:"seen,omitempty"`    // identifiers as the other side knows them
	// Detail holds what is particular to the type: scopes, factor, audience. Keys are snake_case, values short text.
	Detail map[string]string `json:"detail,omitempty"`
}

// Seen are the identifiers that an audience was given in place of ours.
type Seen struct {
	Audience string `json:"aud,omitempty"`
	Subject  string `json:"sub,omitempty"`
	Session  string `json:"sid,omitempty"`
	Txn      string `json:"txn,omitempty"`
}

// EventType implements unit.Event.
func (e Event) EventType() string { return e.Type }

var _ unit.Event = Event{}

// Stored is an event with its place in the log.
type Stored struct {
	Writer string    `json:"writer"`
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"`
	Event
}

// body is how the text that the chain binds is read.
type body struct {
	At time.Time `json:"at"`
	Event
}

// Encode returns the canonical text of e at the given time: one line of JSON, no control characters, times in UTC with
// microseconds. The store chains exactly these bytes and keeps them unchanged.
func Encode(at time.Time, e Event) ([]byte, error) {
	t := chain.NewText(512)
	t.Open()
	if err := appendTime(t, at.UTC().Truncate(time.Microsecond)); err != nil {
		return nil, err
	}
	t.String("type", e.Type)
	t.String("outcome", string(e.Outcome))
	t.Some("reason", e.Reason)
	t.Some("actor", e.Actor)
	t.Some("account", e.Account)
	t.Some("client", e.Client)
	t.Some("session", e.Session)
	t.Some("flow", e.Flow)
	t.Some("grant", e.Grant)
	t.Some("family", e.Family)
	t.Some("jti", e.JTI)
	t.Some("txn", e.Txn)
	t.Some("ip", e.IP)
	t.Some("device", e.Device)
	t.Some("request", e.Request)
	if s := e.Seen; s != nil {
		t.Name("seen")
		t.Open()
		t.Some("aud", s.Audience)
		t.Some("sub", s.Subject)
		t.Some("sid", s.Session)
		t.Some("txn", s.Txn)
		t.Close()
	}
	if len(e.Detail) > 0 {
		if err := t.Strings("detail", e.Detail); err != nil {
			return nil, err
		}
	}
	t.Close()
	return t.Bytes(), nil
}

// appendTime writes when the event happened. Errors: a year that RFC 3339 has no text for.
func appendTime(t *chain.Text, at time.Time) error {
	text, err := at.MarshalText()
	if err == nil {
		t.String("at", string(text))
	}
	return err
}

// Decode reads what Encode wrote.
func Decode(writer string, seq int64, text []byte) (Stored, error) {
	var b body
	if err := json.Unmarshal(text, &b); err != nil {
		return Stored{}, err
	}
	return Stored{Writer: writer, Seq: seq, At: b.At, Event: b.Event}, nil
}

// Refs returns every identifier by which the event can be found, internal and seen ones alike, each once.
func (e Event) Refs() []string {
	all := []string{e.Account, e.Client, e.Session, e.Flow, e.Grant, e.Family, e.JTI, e.Txn}
	if e.Seen != nil {
		all = append(all, e.Seen.Subject, e.Seen.Session, e.Seen.Txn)
	}
	out := all[:0]
	for _, r := range all {
		if r != "" && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}
