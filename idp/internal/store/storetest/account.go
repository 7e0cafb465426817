package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/unit"
)

// AccountStore is what Accounts needs.
type AccountStore interface {
	unit.Committer
	account.Reader
	account.LinkReader
}

// Accounts checks people, their identifiers and mailed links.
func Accounts[S AccountStore](t *testing.T, open func(*testing.T) S) {
	t.Run("an account comes back as it was made, under each of its identifiers", func(t *testing.T) { t.Parallel(); accountRoundTrip(t, open(t)) })
	t.Run("one of many accounts gets an identifier", func(t *testing.T) { t.Parallel(); oneIdentifier(t, open(t)) })
	t.Run("one of many changes to a version wins", func(t *testing.T) { t.Parallel(); oneAccountChange(t, open(t)) })
	t.Run("a status changes once", func(t *testing.T) { t.Parallel(); statusChanges(t, open(t)) })
	t.Run("a link works once, for its purpose, in its time", func(t *testing.T) { t.Parallel(); linkLife(t, open(t)) })
	t.Run("one of many uses of a link wins", func(t *testing.T) { t.Parallel(); oneLinkUse(t, open(t)) })
	t.Run("only so many links are mailed to an address", func(t *testing.T) { t.Parallel(); linkLimit(t, open(t)) })
}

var accountTime = time.Date(2026, 11, 24, 12, 0, 0, 456000, time.UTC)

func person(id string, identifiers ...string) account.Create {
	return account.Create{Canonical: identifiers, Account: account.Account{
		ID: id, Status: account.Active, GivenName: "María José", FamilyName: "Quintero-O’Neill", BirthDate: "1984-03-09", Country: "VE", Locale: "es",
		Email: "María@example.org", Username: "mjq", EmailVerifiedAt: accountTime, CreatedAt: accountTime, UpdatedAt: accountTime, Version: 1,
	}}
}

// people makes accounts that other suites hang things on.
func people(t *testing.T, s unit.Committer, ids ...string) {
	t.Helper()
	for _, id := range ids {
		commit(t, s, person(id, id+"@example.org"))
	}
}

func accountRoundTrip(t *testing.T, s AccountStore) {
	if _, err := s.Account(t.Context(), "acc_1"); !errors.Is(err, account.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	made := person("acc_1", "maría@example.org", "mjq")
	commit(t, s, made)
	for name, read := range map[string]func() (account.Account, error){
		"id":      func() (account.Account, error) { return s.Account(t.Context(), "acc_1") },
		"address": func() (account.Account, error) { return s.AccountByIdentifier(t.Context(), "maría@example.org") },
		"name":    func() (account.Account, error) { return s.AccountByIdentifier(t.Context(), "mjq") },
	} {
		if got, err := read(); err != nil || !reflect.DeepEqual(got, made.Account) {
			t.Errorf("by %s: got  %+v\nwant %+v, %v", name, got, made.Account, err)
		}
	}
	for _, other := range []string{"", "MJQ", "mjq ", "mj_", "%", "acc_1"} {
		if _, err := s.AccountByIdentifier(t.Context(), other); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("by %q: %v", other, err)
		}
	}
}

func oneIdentifier(t *testing.T, s AccountStore) {
	wins := Race(t, func(i int) error {
		id := fmt.Sprint("acc_", i)
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{person(id, id+"@example.org", "wanted")}})
	})
	if wins != 1 {
		t.Fatalf("%d accounts have one user name", wins)
	}
	owner, err := s.AccountByIdentifier(t.Context(), "wanted")
	if err != nil {
		t.Fatal(err)
	}
	for i := range Racers { // a loser leaves neither account nor address behind
		id := fmt.Sprint("acc_", i)
		_, err := s.Account(t.Context(), id)
		_, byAddress := s.AccountByIdentifier(t.Context(), id+"@example.org")
		if (err == nil) != (id == owner.ID) || (byAddress == nil) != (id == owner.ID) {
			t.Errorf("%s: %v, %v; %s won", id, err, byAddress, owner.ID)
		}
	}
	conflicts(t, s, person(owner.ID, "fresh@example.org"))
}

func oneAccountChange(t *testing.T, s AccountStore) {
	made := person("acc_1", "a@example.org")
	commit(t, s, made)
	wins := Race(t, func(i int) error {
		a := made.Account
		a.GivenName, a.UpdatedAt = fmt.Sprint("Name ", i), accountTime.Add(time.Minute)
		a.Email, a.Username, a.Status, a.EmailVerifiedAt = "other@example.org", "other", account.Closed, time.Time{} // a profile never changes these
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{account.Update{Account: a}}})
	})
	if wins != 1 {
		t.Fatalf("%d changes to one version", wins)
	}
	got, err := s.Account(t.Context(), "acc_1")
	want := made.Account
	want.GivenName, want.UpdatedAt, want.Version = got.GivenName, accountTime.Add(time.Minute), 2
	if err != nil || !reflect.DeepEqual(got, want) || got.GivenName == made.Account.GivenName {
		t.Fatalf("got  %+v\nwant %+v, %v", got, want, err)
	}
	missing := made.Account
	missing.ID = "acc_2"
	conflicts(t, s, account.Update{Account: missing})
}

func statusChanges(t *testing.T, s AccountStore) {
	commit(t, s, person("acc_1", "a@example.org"))
	set := func(id string, from, to account.Status) account.SetStatus {
		return account.SetStatus{Account: id, From: from, Status: to, At: accountTime.Add(time.Hour)}
	}
	conflicts(t, s, set("acc_1", account.Locked, account.DisabledLocked)) // somebody has changed it since it was read
	conflicts(t, s, set("acc_2", account.Active, account.Disabled))
	wins := Race(t, func(int) error {
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{set("acc_1", account.Active, account.Disabled)}})
	})
	got, err := s.Account(t.Context(), "acc_1")
	if wins != 1 || err != nil || got.MaySignIn() || got.Version != 2 || !got.UpdatedAt.Equal(accountTime.Add(time.Hour)) {
		t.Fatalf("%d changes, %+v, %v", wins, got, err)
	}
	commit(t, s, set("acc_1", account.Disabled, account.Active))
}

func link(h byte, canonical string, at time.Time) account.IssueLink {
	return account.IssueLink{Limit: 1000, Link: account.Link{
		Hash: [32]byte{h}, Purpose: account.SignUp, Email: "Typed@example.org", Canonical: canonical, Lang: "es", Flow: "flw_1", At: at, ExpiresAt: at.Add(account.LinkLifetime),
	}}
}

func use(h byte, at time.Time) account.SpendLink {
	return account.SpendLink{Hash: [32]byte{h}, Purpose: account.SignUp, At: at}
}

func linkLife(t *testing.T, s AccountStore) {
	if _, err := s.Link(t.Context(), [32]byte{1}); !errors.Is(err, account.ErrLinkDead) {
		t.Fatalf("got %v", err)
	}
	l := link(1, "a@example.org", accountTime)
	commit(t, s, l)
	if got, err := s.Link(t.Context(), l.Link.Hash); err != nil || !reflect.DeepEqual(got, l.Link) {
		t.Fatalf("got  %+v\nwant %+v, %v", got, l.Link, err)
	}
	conflicts(t, s, use(1, l.Link.ExpiresAt)) // from then on
	conflicts(t, s, account.SpendLink{Hash: l.Link.Hash, Purpose: "recovery", At: accountTime})
	conflicts(t, s, use(9, accountTime))
	commit(t, s, use(1, l.Link.ExpiresAt.Add(-time.Microsecond)))
	if got, err := s.Link(t.Context(), l.Link.Hash); err != nil || got.SpentAt.IsZero() {
		t.Fatalf("after its use: %+v, %v", got, err)
	}
	conflicts(t, s, use(1, accountTime))

	commit(t, s, link(2, "b@example.org", accountTime), link(3, "c@example.org", accountTime))
	commit(t, s, link(4, "b@example.org", accountTime.Add(time.Minute)))
	conflicts(t, s, use(2, accountTime.Add(time.Minute))) // a newer one took its place
	commit(t, s, use(3, accountTime.Add(time.Minute)), use(4, accountTime.Add(time.Minute)))
	conflicts(t, s, link(4, "d@example.org", accountTime))
}

func oneLinkUse(t *testing.T, s AccountStore) {
	for round := range byte(10) {
		commit(t, s, link(round, "a@example.org", accountTime))
		wins := Race(t, func(int) error {
			return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{use(round, accountTime)}})
		})
		if wins != 1 {
			t.Fatalf("round %d: %d uses", round, wins)
		}
	}
}

func linkLimit(t *testing.T, s AccountStore) {
	for round := range byte(10) { // replicas meet in some of them
		wins := Race(t, func(i int) error {
			l := link(byte(i), fmt.Sprintf("a%d@example.org", round), accountTime)
			l.Limit, l.Since, l.Link.Hash[1] = 3, accountTime.Add(-time.Hour), round
			return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{l}})
		})
		if wins != 3 {
			t.Fatalf("round %d: %d links, want 3", round, wins)
		}
	}
	for _, c := range []account.IssueLink{link(100, "b@example.org", accountTime), link(101, "a0@example.org", accountTime.Add(2*time.Hour))} {
		c.Limit, c.Since = 1, c.Link.At.Add(-time.Hour)
		commit(t, s, c) // another address; a later hour
	}
}
