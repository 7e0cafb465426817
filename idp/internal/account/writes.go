package account

import (
	"context"
	"time"

	"ellis.example/idp/internal/fault"
)

// Create adds an account with its identifiers. It conflicts when one of them is taken.
type Create struct {
	Account   Account
	Canonical []string // canonical e-mail address, and user name if there is one
}

// UnitWrite implements unit.Write.
func (Create) UnitWrite() {}

// Update replaces the profile (names, birth date, country, locale) of the account. It conflicts when the stored version
// is not Account.Version; the stored version becomes Version+1.
type Update struct{ Account Account }

// UnitWrite implements unit.Write.
func (Update) UnitWrite() {}

// SetStatus changes what an account may do from one status to another. It conflicts when the account does not exist or has
// another status than From, so that nobody takes back what somebody else has just added.
type SetStatus struct {
	Account      string
	From, Status Status
	At           time.Time
}

// UnitWrite implements unit.Write.
func (SetStatus) UnitWrite() {}

// LinkLifetime is how long a mailed link works (ASVS 6.5.5: at most 10 minutes).
const LinkLifetime = 10 * time.Minute

// LinkPurpose is what a mailed link may be used for, and for nothing else.
type LinkPurpose string

// The purposes.
const (
	SignUp LinkPurpose = "signup"
)

// Link is a mailed link, known by the hash of its secret.
type Link struct {
	Hash      [32]byte
	Purpose   LinkPurpose
	Email     string // where the mail went
	Canonical string // of Email
	Lang      string // of the page it was asked from
	Flow      string // pending authorization it was asked in, if any
	At        time.Time
	ExpiresAt time.Time
	SpentAt   time.Time
}

// ErrLinkDead is returned for a link that is unknown, was used, was replaced by a newer one or has expired.
var ErrLinkDead = fault.New(fault.Gone, "link_dead", "this link no longer works: ask for a new one")

// IssueLink stores a link and replaces an unspent older one of the same purpose and address. It conflicts when Limit
// links of that purpose were issued to the address after Since.
type IssueLink struct {
	Link  Link
	Limit int
	Since time.Time
}

// UnitWrite implements unit.Write.
func (IssueLink) UnitWrite() {}

// SpendLink uses up a link. It conflicts unless the link has that purpose, is unspent and not expired at At.
type SpendLink struct {
	Hash    [32]byte
	Purpose LinkPurpose
	At      time.Time
}

// UnitWrite implements unit.Write.
func (SpendLink) UnitWrite() {}

// LinkReader is what link logic asks of a store.
type LinkReader interface {
	// Link returns a link by the hash of its secret. Errors: ErrLinkDead when there is none.
	Link(ctx context.Context, h [32]byte) (Link, error)
}
