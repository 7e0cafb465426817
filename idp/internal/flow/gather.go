package flow

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/session"
)

// PendingLifetime is how long a proven password waits for its second factor.
const PendingLifetime = 10 * time.Minute

// FactorReader knows who has a second factor.
type FactorReader interface {
	HasSecondFactor(ctx context.Context, account string) (bool, error)
}

// SessionReader finds a session by its cookie.
type SessionReader interface {
	SessionByCookie(ctx context.Context, h [32]byte) (session.Session, error)
}

// AccountReader finds an account.
type AccountReader interface {
	Account(ctx context.Context, id string) (account.Account, error)
}

// ConsentReader knows what was allowed.
type ConsentReader interface {
	Consents(ctx context.Context, account, client string) ([]grant.Consent, error)
}

// SubjectReader knows what a client calls an account.
type SubjectReader interface {
	Subject(ctx context.Context, client, account string) (string, error)
}

// Gatherer reads what Next decides on, in one way for everybody who asks.
type Gatherer struct {
	Sessions SessionReader
	Accounts AccountReader
	Consents ConsentReader
	Factors  FactorReader
	Subjects SubjectReader
}

// State reads what is known about the person whose browser sent these cookies; empty ones are nobody. A session that has
// ended, of an account that is gone, counts as none.
func (g Gatherer) State(ctx context.Context, f Flow, sessionCookie, signinCookie string, now time.Time) (State, error) {
	st := State{Pending: f.PendingIs(signinCookie, now)}
	who := ""
	if st.Pending {
		who = f.Pending.Account
	}
	s, a, err := g.signedIn(ctx, sessionCookie, now)
	if err != nil {
		return State{}, err
	}
	if s.ID != "" {
		st.Session, st.Account = s, a
		if who == "" {
			who = a.ID
		}
		if f.Kind == Authorization {
			if st.Consents, err = g.Consents.Consents(ctx, a.ID, f.Client); err != nil {
				return State{}, err
			}
			if f.Want.Subject != "" {
				if st.Subject, err = g.Subjects.Subject(ctx, f.Client, a.ID); err != nil {
					return State{}, err
				}
			}
		}
	}
	if who != "" {
		st.HasFactor, err = g.Factors.HasSecondFactor(ctx, who)
	}
	return st, err
}

// signedIn returns the living session of a cookie with its account, or zero values.
func (g Gatherer) signedIn(ctx context.Context, cookie string, now time.Time) (session.Session, account.Account, error) {
	if cookie == "" {
		return session.Session{}, account.Account{}, nil
	}
	s, err := g.Sessions.SessionByCookie(ctx, ident.Hash(cookie))
	if errors.Is(err, session.ErrNotFound) || (err == nil && !s.Alive(now)) {
		return session.Session{}, account.Account{}, nil
	}
	if err != nil {
		return session.Session{}, account.Account{}, err
	}
	a, err := g.Accounts.Account(ctx, s.Account)
	if errors.Is(err, account.ErrNotFound) {
		return session.Session{}, account.Account{}, nil
	}
	return s, a, err
}

// PendingIs reports whether cookie belongs to the half-finished sign-in of this flow, and that is not too old.
func (f Flow) PendingIs(cookie string, now time.Time) bool {
	if f.Pending == nil || cookie == "" || !now.Before(f.Pending.At.Add(PendingLifetime)) || clock.Future(f.Pending.At, now) {
		return false
	}
	h := ident.Hash(cookie)
	return subtle.ConstantTimeCompare(h[:], f.Pending.Cookie[:]) == 1
}

// BelongsTo reports whether the flow was started by the browser with this flow cookie.
func (f Flow) BelongsTo(cookie string) bool {
	h := ident.Hash(cookie)
	return cookie != "" && subtle.ConstantTimeCompare(h[:], f.Browser[:]) == 1
}
