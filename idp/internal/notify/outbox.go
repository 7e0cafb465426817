package notify

import (
	"context"
	"encoding/json"
	"time"

	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/seal"
)

// Message is a mail to one person.
type Message struct {
	Account  string `json:"-"` // whom it concerns; empty: nobody yet
	Template string `json:"-"` // which mail it is, for the audit and the counters
	To       string `json:"to"`
	Lang     string `json:"-"`
	Subject  string `json:"subject"`
	Text     string `json:"text"`
	HTML     string `json:"html"`
}

// Queue puts a mail into the outbox. Condition: fewer than Limit mails wait there, if there is a limit; replicas that queue at
// the same moment may exceed it by as many.
type Queue struct {
	ID        string
	Account   string
	Template  string
	Recipient string
	Lang      string
	Sealed    []byte
	At        time.Time
	ExpiresAt time.Time // not worth sending after this
	Limit     int       // of mails that wait; zero: any number
}

// Item is a mail that waits.
type Item struct {
	ID        string
	Account   string
	Template  string
	Sealed    []byte
	Attempts  int
	ExpiresAt time.Time
}

// Claim takes a mail that is due for one attempt. Condition: it is not sent, and it is due at At or was being sent under an
// earlier term. Nobody else of this term tries before Until.
type Claim struct {
	ID        string
	At, Until time.Time
	Fence     int64 // the sender's term; 0 where there are none
}

// Sent notes that a mail went out and forgets its text. Condition: it was not sent.
type Sent struct {
	ID string
	At time.Time
}

// Defer puts a mail back until Due. No condition.
type Defer struct {
	ID  string
	Due time.Time
}

// Drop gives a mail up and forgets its text. No condition.
type Drop struct{ ID string }

// UnitWrite implements unit.Write.
func (Queue) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Claim) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Sent) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Defer) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Drop) UnitWrite() {}

// Reader is what delivery asks of a store.
type Reader interface {
	// DueMail lists mails that are due at now, and those that were being sent under a term before fence: whoever sent them is
	// gone. Oldest first, at most limit.
	DueMail(ctx context.Context, now time.Time, fence int64, limit int) ([]Item, error)
}

// MailOwner is what a mail is bound to where it is sealed.
func MailOwner(id string) string { return "mail " + id }

// Compose seals a message for the outbox.
func Compose(s *seal.Sealer, m Message, now time.Time, worthFor time.Duration) (Queue, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return Queue{}, err
	}
	id := ident.New("eml")
	sealed, err := s.Seal(body, MailOwner(id))
	return Queue{ID: id, Account: m.Account, Template: m.Template, Recipient: m.To, Lang: m.Lang, Sealed: sealed, At: now, ExpiresAt: now.Add(worthFor)}, err
}

func open(s *seal.Sealer, i Item) (Message, error) {
	m := Message{Account: i.Account, Template: i.Template}
	body, err := s.Open(i.Sealed, MailOwner(i.ID))
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(body, &m)
}
