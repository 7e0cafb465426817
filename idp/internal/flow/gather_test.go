package flow_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/session"
)

// stored answers a Gatherer from maps; broken is what every read fails with.
type stored struct {
	sessions map[[32]byte]session.Session
	accounts map[string]account.Account
	consents []grant.Consent
	factors  map[string]bool
	broken   error
	subjects map[string]string
}

func (s stored) SessionByCookie(_ context.Context, h [32]byte) (session.Session, error) {
	if v, ok := s.sessions[h]; ok || s.broken != nil {
		return v, s.broken
	}
	return session.Session{}, session.ErrNotFound
}

func (s stored) Account(_ context.Context, id string) (account.Account, error) {
	if v, ok := s.accounts[id]; ok {
		return v, nil
	}
	return account.Account{}, account.ErrNotFound
}

func (s stored) Consents(context.Context, string, string) ([]grant.Consent, error) {
	return s.consents, nil
}

func (s stored) HasSecondFactor(_ context.Context, id string) (bool, error) {
	return s.factors[id], s.broken
}

func (s stored) Subject(_ context.Context, client, account string) (string, error) {
	return s.subjects[client+"/"+account], nil
}

func (s stored) gather() flow.Gatherer {
	return flow.Gatherer{Sessions: s, Accounts: s, Consents: s, Factors: s, Subjects: s}
}

func TestState_IsOfTheCookiesThatWereSent(t *testing.T) {
	t.Parallel()
	alive := session.Session{ID: "ses_1", Account: "acc_1", CreatedAt: t0, LastSeen: t0}
	ended, orphan := alive, alive
	ended.EndedAt, orphan.Account = t0, "acc_gone"
	s := stored{
		sessions: map[[32]byte]session.Session{ident.Hash("alive"): alive, ident.Hash("ended"): ended, ident.Hash("orphan"): orphan},
		accounts: map[string]account.Account{"acc_1": {ID: "acc_1", Status: account.Active}},
		consents: []grant.Consent{{Scope: "openid"}}, factors: map[string]bool{"acc_2": true},
	}
	half := asked(func(f *flow.Flow) { f.Pending = &flow.Pending{Cookie: ident.Hash("half"), Account: "acc_2", At: t0} })
	for _, c := range []struct {
		name, session, signin     string
		flow                      flow.Flow
		now                       time.Time
		who                       string
		pending, factor, consents bool
	}{
		{"none", "", "", half, t0, "", false, false, false},
		{"a living session", "alive", "", half, t0, "ses_1", false, false, true},
		{"a living session, on a visit", "alive", "", asked(visit), t0, "ses_1", false, false, false},
		{"one that ended", "ended", "", half, t0, "", false, false, false},
		{"one that is too old", "alive", "", half, t0.Add(session.IdleTimeout), "", false, false, false},
		{"one whose account is gone", "orphan", "", half, t0, "", false, false, false},
		{"one that nobody knows", "other", "", half, t0, "", false, false, false},
		{"half a sign-in", "", "half", half, t0, "", true, true, false},
		{"half a sign-in beside a session: the factor is of the former", "alive", "half", half, t0, "ses_1", true, true, true},
		{"another's half sign-in", "", "other", half, t0, "", false, false, false},
		{"half a sign-in that took too long", "", "half", half, t0.Add(flow.PendingLifetime), "", false, false, false},
		{"half a sign-in of the future", "", "half", half, t0.Add(-clock.Skew - 1), "", false, false, false},
	} {
		st, err := s.gather().State(t.Context(), c.flow, c.session, c.signin, c.now)
		if err != nil || st.Session.ID != c.who || (st.Account.ID != "") != (c.who != "") || st.Pending != c.pending || st.HasFactor != c.factor || (len(st.Consents) > 0) != c.consents {
			t.Errorf("%s: got %+v, %v", c.name, st, err)
		}
	}
}

func TestState_KnowsThePersonAsTheClientDoesWhenTheRequestNamesASubject(t *testing.T) {
	t.Parallel()
	s := stored{
		sessions: map[[32]byte]session.Session{ident.Hash("alive"): {ID: "ses_1", Account: "acc_1", CreatedAt: t0, LastSeen: t0}},
		accounts: map[string]account.Account{"acc_1": {ID: "acc_1", Status: account.Active}}, subjects: map[string]string{"portal/acc_1": "sub-1"},
	}
	for want, got := range map[string]string{"": "", "sub-1": "sub-1", "sub-2": "sub-1"} {
		st, err := s.gather().State(t.Context(), asked(subject(want)), "alive", "", t0)
		if err != nil || st.Subject != got {
			t.Errorf("asked for %q: %q, %v", want, st.Subject, err)
		}
	}
}

func TestState_AStoreThatIsDownIsNobodysAbsence(t *testing.T) {
	t.Parallel()
	s := stored{broken: errors.New("down")}
	if _, err := s.gather().State(t.Context(), asked(), "cookie", "", t0); !errors.Is(err, s.broken) {
		t.Fatalf("got %v", err)
	}
}

func TestAttack_D01_AFlowBelongsToTheBrowserThatStartedIt(t *testing.T) {
	t.Parallel()
	mine := ident.NewToken(ident.FlowCookie)
	f := asked(func(f *flow.Flow) { f.Browser = ident.Hash(mine) })
	if !f.BelongsTo(mine) {
		t.Error("its own browser is refused")
	}
	for _, other := range []string{"", ident.NewToken(ident.FlowCookie), mine[1:], mine + "a"} {
		if f.BelongsTo(other) {
			t.Errorf("it belongs to the browser with cookie %q", other)
		}
	}
	if asked().BelongsTo("") || asked().PendingIs("", t0) {
		t.Error("a flow without a browser belongs to one without a cookie")
	}
}
