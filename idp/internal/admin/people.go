package admin

import (
	"context"
	"errors"
	"strings"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/unit"
)

// PeopleDeps is what the management of people stands on.
type PeopleDeps struct {
	Store   account.Reader
	Factors factor.Reader
	Commit  unit.Committer
	Clock   clock.Clock
}

// People manages accounts for an operator, who can open and close them but never become somebody: no method returns or sets
// the password of an account that exists.
type People struct{ d PeopleDeps }

// NewPeople returns a People.
func NewPeople(d PeopleDeps) *People { return &People{d} }

// NewPerson is an account that an operator opens for a person whose address was proven by other means.
type NewPerson struct {
	account.Draft
	Password   string
	TOTPSecret string // base32; empty: no authenticator app
}

// ErrAddressTaken is returned when the address or the user name is in use.
var ErrAddressTaken = fault.New(fault.Conflict, "identifier_taken", "an account with this address or user name exists")

// Create opens an account and returns its id. The first code of an authenticator that is given counts as unused. Errors: a
// fault of kind Invalid that names every problem, one a line; ErrAddressTaken.
func (p *People) Create(ctx context.Context, n NewPerson, hash *factor.Passwords, s *seal.Sealer, by string) (string, error) {
	now := p.d.Clock.Now()
	c, problems := n.New(now)
	if err := account.CheckPassword(n.Password, n.About()...); err != nil {
		problems = append(problems, err)
	}
	if err := refuse(lines(problems)); err != nil {
		return "", err
	}
	record, err := hash.Hash(ctx, n.Password)
	if err != nil {
		return "", err
	}
	writes := []unit.Write{c, factor.SetPassword{Account: c.Account.ID, Record: record, At: now}}
	e := audit.Event{Type: "account.created", Outcome: audit.Allowed, Actor: by, Account: c.Account.ID}
	if n.TOTPSecret != "" {
		t, err := factor.NewTOTP(s, c.Account.ID, n.TOTPSecret, now)
		if err != nil {
			return "", err
		}
		writes = append(writes, factor.AddTOTP{TOTP: t})
		e.Detail = map[string]string{"factor": "totp", "id": t.ID}
	}
	err = p.d.Commit.Commit(ctx, unit.Unit{Writes: writes, Event: e})
	if _, taken := unit.ConflictIn[account.Create](err); taken {
		return "", ErrAddressTaken
	}
	return c.Account.ID, err
}

func lines(problems []error) (out []string) {
	for _, err := range problems {
		f := fault.Of(err)
		out = append(out, strings.TrimPrefix(f.Field+": "+f.Message, ": "))
	}
	return out
}

// Person is an account as an operator sees it.
type Person struct {
	account.Account
	TOTPs        int
	RecoveryLeft int
}

// Find returns the account with an id, an e-mail address or a user name. Errors: account.ErrNotFound.
func (p *People) Find(ctx context.Context, who string) (Person, error) {
	a, err := p.find(ctx, who)
	if err != nil {
		return Person{}, err
	}
	list, _, err := p.d.Factors.TOTPs(ctx, a.ID)
	if err != nil {
		return Person{}, err
	}
	codes, err := p.d.Factors.RecoveryCodes(ctx, a.ID)
	return Person{Account: a, TOTPs: len(list), RecoveryLeft: factor.Left(codes)}, err
}

func (p *People) find(ctx context.Context, who string) (account.Account, error) {
	a, err := p.d.Store.Account(ctx, who)
	if !errors.Is(err, account.ErrNotFound) {
		return a, err
	}
	canonical, err := account.Canonical(who)
	if err != nil {
		return a, account.ErrNotFound
	}
	return p.d.Store.AccountByIdentifier(ctx, canonical)
}

// ErrAlready is returned for an account that has the status already.
var ErrAlready = fault.New(fault.Conflict, "status_already", "the account has this status already")

// ErrRestored is returned for an account that a restore locked and nobody disabled.
var ErrRestored = fault.New(fault.Conflict, "locked_by_restore",
	"a restore locked this account: it signs in nowhere, and would open with the password and the authenticator app of the backup. When its owner is sure of both, use: enable --as-restored")

// Disable ends everything that stands on an account, at once: it signs in nowhere, its sessions and tokens are dead. One that
// a restore locked is both then. Errors: account.ErrNotFound; ErrAlready; ErrMeanwhile.
func (p *People) Disable(ctx context.Context, who, reason, by string) error {
	now := p.d.Clock.Now()
	return p.status(ctx, who, account.Status.Disable, "account.disabled", reason, by, func(id string) []unit.Write {
		return []unit.Write{session.EndAll{Account: id, At: now}, grant.RevokeAccount{Account: id, At: now}}
	})
}

// Enable takes back that an account was disabled, and nothing else: what had ended stays ended, and what a restore locked stays
// locked. Errors: account.ErrNotFound; ErrAlready; ErrRestored; ErrMeanwhile.
func (p *People) Enable(ctx context.Context, who, reason, by string) error {
	return p.status(ctx, who, account.Status.Enable, "account.enabled", reason, by, nil)
}

// EnableRestored is Enable for an account that a restore locked, too: it opens with the factors of the backup, which somebody
// replaced since or may have. Errors: account.ErrNotFound; ErrAlready; ErrMeanwhile.
func (p *People) EnableRestored(ctx context.Context, who, reason, by string) error {
	open := func(account.Status) account.Status { return account.Active }
	return p.status(ctx, who, open, "account.enabled", reason, by, nil)
}

// status brings an account from its status to another one, if that is another one.
func (p *People) status(ctx context.Context, who string, change func(account.Status) account.Status, typ, reason, by string, more func(id string) []unit.Write) error {
	a, err := p.find(ctx, who)
	if err != nil {
		return err
	}
	to := change(a.Status)
	switch {
	case a.Status == account.Closed:
		return account.ErrNotFound
	case to == a.Status && to == account.Locked:
		return ErrRestored
	case to == a.Status:
		return ErrAlready
	}
	u := unit.Unit{
		Writes: []unit.Write{account.SetStatus{Account: a.ID, From: a.Status, Status: to, At: p.d.Clock.Now()}},
		Event:  audit.Event{Type: typ, Outcome: audit.Allowed, Reason: reason, Actor: by, Account: a.ID, Detail: map[string]string{"status": string(to)}},
	}
	if more != nil {
		u.Writes = append(u.Writes, more(a.ID)...)
	}
	err = p.d.Commit.Commit(ctx, u)
	if unit.IsConflict(err) {
		return ErrMeanwhile.Because(err)
	}
	return err
}

// Unlock forgets the failed attempts that are counted for an account, and nothing else. Errors: account.ErrNotFound.
func (p *People) Unlock(ctx context.Context, who string, l *throttle.Limiter, reason, by string) error {
	a, err := p.find(ctx, who)
	if err != nil {
		return err
	}
	return p.d.Commit.Commit(ctx, unit.Unit{
		Writes: []unit.Write{l.Unlock(a.ID)},
		Event:  audit.Event{Type: "account.unlocked", Outcome: audit.Allowed, Reason: reason, Actor: by, Account: a.ID},
	})
}
