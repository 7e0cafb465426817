package acts

import (
	"context"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/unit"
)

// Acts carries out what spans several domains.
type Acts struct {
	commit unit.Committer
	clk    clock.Clock
}

// New returns Acts over a store.
func New(c unit.Committer, clk clock.Clock) *Acts { return &Acts{commit: c, clk: clk} }

// SignOut ends a session and everything that was issued in it. A session that has ended already is no error. e carries
// who asked and from where; its type, outcome and subject are set here.
func (a *Acts) SignOut(ctx context.Context, s session.Session, e audit.Event) error {
	now := a.clk.Now()
	e.Type, e.Outcome, e.Account, e.Session, e.Device = "session.ended", audit.Allowed, s.Account, s.ID, s.Device
	err := a.commit.Commit(ctx, unit.Unit{
		Writes: []unit.Write{session.End{ID: s.ID, At: now}, grant.RevokeSession{Session: s.ID, At: now}},
		Event:  e,
	})
	if _, ended := unit.ConflictIn[session.End](err); ended {
		return nil
	}
	return err
}

// SignOutEverywhere ends every session of an account but the one spared (empty: none), with everything that was issued
// to the account in them.
func (a *Acts) SignOutEverywhere(ctx context.Context, account, spared string, e audit.Event) error {
	now := a.clk.Now()
	e.Type, e.Outcome, e.Account = "session.ended", audit.Allowed, account
	e.Detail = map[string]string{"all": "yes", "spared": spared}
	return a.commit.Commit(ctx, unit.Unit{
		Writes: []unit.Write{session.EndAll{Account: account, Except: spared, At: now}, grant.RevokeAccount{Account: account, ExceptSession: spared, At: now}},
		Event:  e,
	})
}
