package storetest

import (
	"errors"
	"testing"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/unit"
)

// EpochStore is what Epochs needs.
type EpochStore interface {
	unit.Committer
	epoch.Reader
	account.Reader
	account.LinkReader
	client.Reader
	factor.Reader
	grant.Reader
	session.Reader
}

// Epochs checks what raising the epoch ends. open takes a store; other takes one more replica of the same database.
func Epochs[S EpochStore](t *testing.T, open func(*testing.T) (first, other S)) {
	t.Run("one of many raises wins", func(t *testing.T) { t.Parallel(); a, b := open(t); oneRaiseWins(t, a, b) })
	t.Run("everything issued before ends", func(t *testing.T) { t.Parallel(); a, _ := open(t); raiseEnds(t, a) })
	t.Run("what nobody can know is locked", func(t *testing.T) { t.Parallel(); a, _ := open(t); raiseLocks(t, a) })
	t.Run("a replica of the old epoch writes nothing", func(t *testing.T) { t.Parallel(); a, b := open(t); oldReplicaStops(t, a, b) })
}

var restored = audit.Event{Type: "epoch.raised", Outcome: audit.Allowed}

func raise(t *testing.T, s EpochStore, r epoch.Raise) {
	t.Helper()
	if err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{r}, Event: restored}); err != nil {
		t.Fatal(err)
	}
}

func oneRaiseWins(t *testing.T, a, b EpochStore) {
	wins := Race(t, func(i int) error {
		s := a
		if i%2 == 1 {
			s = b
		}
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{epoch.Raise{At: time.Now()}}, Event: restored})
	})
	if e, err := a.Epoch(t.Context()); wins != 1 || err != nil || e.N != 1 || e.At.IsZero() {
		t.Fatalf("%d won, the epoch is %+v (%v)", wins, e, err)
	}
}

// bygone is something of each kind that a restore must not bring back.
type bygone struct {
	account, grant string
	cookie, link   [32]byte
	refresh        [32]byte
	now            time.Time
}

func past(t *testing.T, s EpochStore) bygone {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	i := bygone{account: ident.New("acc"), grant: ident.New("grt"), cookie: ident.Hash("cookie"), link: ident.Hash("link"), refresh: ident.Hash("refresh"), now: now}
	f := grant.New(i.grant, "web", now)
	err := s.Commit(t.Context(), unit.Unit{Event: audit.Event{Type: "test.event"}, Writes: []unit.Write{
		account.Create{Account: account.Account{ID: i.account, Status: account.Active, Email: "a@example.org", CreatedAt: now}, Canonical: []string{"a@example.org"}},
		session.Start{Session: session.Session{ID: ident.New("ses"), Account: i.account, CreatedAt: now, LastSeen: now, AMR: []string{}}, Cookie: i.cookie},
		grant.Create{Grant: grant.Grant{ID: i.grant, Account: i.account, Client: "web", At: now}},
		grant.Start{Family: f, First: grant.Refresh{Hash: i.refresh, Family: f.ID, At: now}},
		account.IssueLink{Link: account.Link{Hash: i.link, Purpose: account.SignUp, Canonical: "b@example.org", At: now, ExpiresAt: now.Add(time.Hour)}, Limit: 3},
		factor.SetRecoveryCodes{Account: i.account, Codes: []factor.RecoveryCode{{Hash: ident.Hash("code")}}, At: now},
		client.Create{Client: client.Client{ID: "web", SecretHash: ident.Hash("secret"), CreatedAt: now}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func raiseEnds(t *testing.T, s EpochStore) {
	i := past(t, s)
	raise(t, s, epoch.Raise{At: i.now})
	if v, err := s.SessionByCookie(t.Context(), i.cookie); err != nil || v.Alive(i.now) {
		t.Errorf("the session: %+v, %v", v, err)
	}
	if _, f, g, err := s.RefreshByHash(t.Context(), i.refresh); err != nil || g.Stands() || f.Stands(i.now) {
		t.Errorf("the refresh token: %+v %+v, %v", f, g, err)
	}
	if l, err := s.Link(t.Context(), i.link); err != nil || l.SpentAt.IsZero() {
		t.Errorf("the link: %+v, %v", l, err)
	}
	if codes, err := s.RecoveryCodes(t.Context(), i.account); err != nil || !codes[0].UsedAt.IsZero() {
		t.Errorf("a recovery code that nothing is unknown of: %+v, %v", codes, err)
	}
	next := i.now.Unix()/epoch.StepSeconds + 1
	for step, want := range map[int64]bool{next - 2: false, next: false, next + 1: true} {
		err := waitSettled(t, s, factor.UseStep{Account: i.account, Step: step, At: i.now})
		if _, refused := unit.ConflictIn[factor.UseStep](err); refused == want || (want && err != nil) {
			t.Errorf("step %+d: %v", step-next, err)
		}
	}
}

// waitSettled commits a write once this process writes again.
func waitSettled(t *testing.T, s EpochStore, w unit.Write) (err error) {
	t.Helper()
	for end := time.Now().Add(3 * epoch.Settle); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{w}, Event: audit.Event{Type: "test.event"}}); !errors.Is(err, epoch.ErrRaised) {
			return err
		}
	}
	return err
}

func raiseLocks(t *testing.T, s EpochStore) {
	i := past(t, s)
	off := ident.New("acc")
	commit(t, s, account.Create{Account: account.Account{ID: off, Status: account.Disabled, Email: "off@example.org", CreatedAt: i.now}, Canonical: []string{"off@example.org"}})
	raise(t, s, epoch.Raise{At: i.now, Unknown: true, Lock: true})
	for id, want := range map[string]account.Status{i.account: account.Locked, off: account.DisabledLocked} {
		if a, err := s.Account(t.Context(), id); err != nil || a.Status != want || a.MaySignIn() {
			t.Errorf("an account: %+v, %v, want %s", a, err, want)
		}
	}
	if codes, err := s.RecoveryCodes(t.Context(), i.account); err != nil || codes[0].UsedAt.IsZero() {
		t.Errorf("its recovery code: %+v, %v", codes, err)
	}
	if c, err := s.Client(t.Context(), "web"); err != nil || c.SecretIs("secret") || c.SecretHash != [32]byte{} {
		t.Errorf("the client: %+v, %v", c, err)
	}
}

func oldReplicaStops(t *testing.T, a, b EpochStore) {
	i := past(t, a)
	note := unit.Unit{Event: audit.Event{Type: "test.event"}}
	if err := b.Commit(t.Context(), note); err != nil { // it works in the old epoch
		t.Fatal(err)
	}
	raise(t, a, epoch.Raise{At: i.now})
	for range 3 { // the first finds out, those behind it were read before
		if err := b.Commit(t.Context(), note); !errors.Is(err, epoch.ErrRaised) {
			t.Fatalf("got %v", err)
		}
	}
	if err := waitSettled(t, b, session.EndAll{Account: i.account, At: i.now}); err != nil {
		t.Errorf("it does not take the new epoch: %v", err)
	}
}
