package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/unit"
)

// GrantStore is what Grants needs.
type GrantStore interface {
	unit.Committer
	grant.Reader
	Sweep(ctx context.Context, now time.Time) (int64, error)
	SweepOn(ctx context.Context, now time.Time) (int64, error)
	SweptTo(ctx context.Context) (time.Time, error)
}

// Grants checks consents, grants, refresh families and access tokens.
func Grants[S GrantStore](t *testing.T, open func(*testing.T) S) {
	t.Run("a grant comes back as it was recorded", func(t *testing.T) { t.Parallel(); grantRoundTrip(t, open(t)) })
	t.Run("consents are remembered once and withdrawn with their grants", func(t *testing.T) { t.Parallel(); consentLife(t, open(t)) })
	t.Run("each revocation ends what it names and nothing else", func(t *testing.T) { t.Parallel(); revocations(t, open(t)) })
	t.Run("one of many families of a grant starts", func(t *testing.T) { t.Parallel(); oneFamily(t, open(t)) })
	t.Run("one of many rotations wins and leaves one live leaf", func(t *testing.T) { t.Parallel(); oneLeaf(t, open(t)) })
	t.Run("a family that ended rotates no more", func(t *testing.T) { t.Parallel(); endedFamily(t, open(t)) })
	t.Run("nothing is issued behind a revocation", func(t *testing.T) { t.Parallel(); issueBehindRevoke(t, open(t)) })
	t.Run("a revoked token stays revoked without a row of its own", func(t *testing.T) { t.Parallel(); tombstones(t, open(t)) })
	t.Run("a token of a client stands until it is revoked, whoever shares the commit", func(t *testing.T) { t.Parallel(); machines(t, open(t)) })
	t.Run("the sweep takes only what has ended", func(t *testing.T) { t.Parallel(); grantSweep(t, open(t)) })
}

var grantTime = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func someGrant(id, account, client, session string) grant.Grant {
	return grant.Grant{
		ID: id, Account: account, Client: client, Session: session, Scopes: []string{"cases:read", "openid"}, API: "cases", Txn: "txn_" + id,
		AuthTime: grantTime.Add(-time.Minute), ACR: "urn:ellis:aal2", AMR: []string{"mfa", "otp", "pwd"}, Nonce: "n", At: grantTime,
	}
}

// family records a grant with a family "f<id>" whose first token hashes to leaf.
func family(t *testing.T, s GrantStore, id string, leaf byte) grant.Family {
	t.Helper()
	f := grant.New(id, "portal", grantTime)
	f.ID = "f" + id
	commit(t, s, grant.Create{Grant: someGrant(id, "acc_1", "portal", "ses_1")}, grant.Start{Family: f, First: refresh(leaf)})
	return f
}

func refresh(h byte) grant.Refresh { return grant.Refresh{Hash: [32]byte{h}, At: grantTime} }

func rotate(f string, old, next byte, at time.Time) grant.Rotate {
	return grant.Rotate{Family: f, Old: [32]byte{old}, New: grant.Refresh{Hash: [32]byte{next}, At: at}, Sealed: []byte("sealed"), Scope: "openid", Resource: "https://r.example", At: at}
}

func issue(jti, g, f string) grant.Issue {
	return grant.Issue{Token: grant.AccessToken{JTI: jti, Grant: g, Family: f, API: "cases", Scope: "cases:read", At: grantTime, ExpiresAt: grantTime.Add(5 * time.Minute)}}
}

func grantRoundTrip(t *testing.T, s GrantStore) {
	if _, err := s.Grant(t.Context(), "grt_1"); !errors.Is(err, grant.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	want := someGrant("grt_1", "acc_1", "portal", "ses_1")
	commit(t, s, grant.Create{Grant: want})
	if got, err := s.Grant(t.Context(), "grt_1"); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v, %v", got, want, err)
	}
	conflicts(t, s, grant.Create{Grant: want})
	f := grant.New("grt_1", "portal", grantTime)
	commit(t, s, grant.Start{Family: f, First: refresh(1)})
	r, gotF, gotG, err := s.RefreshByHash(t.Context(), [32]byte{1})
	if err != nil || !reflect.DeepEqual(gotG, want) || gotF != f || !r.Live() || r.Family != f.ID || r.Child != [32]byte{} || r.Sealed != nil {
		t.Fatalf("got %+v, %+v, %+v, %v", r, gotF, gotG, err)
	}
	commit(t, s, issue("j", "grt_1", f.ID))
	a, gotG, err := s.AccessToken(t.Context(), "j")
	if err != nil || a != issue("j", "grt_1", f.ID).Token || !reflect.DeepEqual(gotG, want) {
		t.Fatalf("got %+v, %+v, %v", a, gotG, err)
	}
}

func consentLife(t *testing.T, s GrantStore) {
	commit(t, s, grant.Allow{Account: "a", Client: "portal", Scopes: []string{"profile", "openid"}, At: grantTime})
	commit(t, s, grant.Allow{Account: "a", Client: "portal", Scopes: []string{"openid", "email"}, At: grantTime.Add(time.Hour)},
		grant.Allow{Account: "a", Client: "other", Scopes: []string{"openid"}, At: grantTime}, grant.Allow{Account: "b", Client: "portal", Scopes: []string{"openid"}, At: grantTime},
		grant.Create{Grant: someGrant("grt_a", "a", "portal", "s")}, grant.Create{Grant: someGrant("grt_b", "b", "portal", "s")})
	got, err := s.Consents(t.Context(), "a", "portal")
	var want []grant.Consent
	for i, sc := range []string{"email", "openid", "profile"} {
		at := grantTime
		if i == 0 {
			at = at.Add(time.Hour)
		}
		want = append(want, grant.Consent{Account: "a", Client: "portal", Scope: sc, At: at})
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if all, err := s.ConsentsOf(t.Context(), "a"); err != nil || len(all) != 4 || all[0].Client != "other" {
		t.Fatalf("got %+v, %v", all, err)
	}
	commit(t, s, grant.Withdraw{Account: "a", Client: "portal", At: grantTime})
	conflicts(t, s, grant.Withdraw{Account: "a", Client: "portal", At: grantTime})
	standing(t, s, map[string]bool{"grt_a": false, "grt_b": true})
	if all, err := s.ConsentsOf(t.Context(), "a"); err != nil || len(all) != 1 || all[0].Client != "other" {
		t.Fatalf("got %+v, %v", all, err)
	}
}

func standing(t *testing.T, s GrantStore, want map[string]bool) {
	t.Helper()
	for id, stands := range want {
		if g, err := s.Grant(t.Context(), id); err != nil || g.Stands() != stands {
			t.Errorf("%s: stands %v, want %v, %v", id, g.Stands(), stands, err)
		}
	}
}

func revocations(t *testing.T, s GrantStore) {
	for i, g := range []grant.Grant{someGrant("g1", "a", "c1", "s1"), someGrant("g2", "a", "c2", "s1"), someGrant("g3", "a", "c1", "s2"), someGrant("g4", "b", "c2", "s3"),
		someGrant("g5", "b", "c2", "s4"), someGrant("g6", "d", "c3", "s5")} {
		commit(t, s, grant.Create{Grant: g}, grant.Allow{Account: g.Account, Client: g.Client, Scopes: []string{"openid"}, At: grantTime.Add(time.Duration(i))})
	}
	at := grantTime.Add(time.Hour)
	commit(t, s, grant.Revoke{Grant: "g1", At: at}, grant.Revoke{Grant: "missing", At: at})
	standing(t, s, map[string]bool{"g1": false, "g2": true, "g3": true})
	commit(t, s, grant.RevokeSession{Session: "s1", At: at.Add(time.Hour)})
	standing(t, s, map[string]bool{"g1": false, "g2": false, "g3": true, "g4": true})
	if g, _ := s.Grant(t.Context(), "g1"); !g.Revoked.Equal(at) {
		t.Errorf("the first revocation was overwritten: %s", g.Revoked)
	}
	commit(t, s, grant.RevokeAccount{Account: "b", ExceptSession: "s4", At: at})
	standing(t, s, map[string]bool{"g3": true, "g4": false, "g5": true})
	commit(t, s, grant.RevokeAccount{Account: "b", At: at})
	standing(t, s, map[string]bool{"g3": true, "g5": false, "g6": true})
	commit(t, s, grant.RevokeClient{Client: "c1", At: at})
	standing(t, s, map[string]bool{"g3": false, "g6": true})
	if left, err := s.ConsentsOf(t.Context(), "a"); err != nil || len(left) != 1 || left[0].Client != "c2" {
		t.Errorf("left %+v, %v", left, err)
	}
}

func oneFamily(t *testing.T, s GrantStore) {
	commit(t, s, grant.Create{Grant: someGrant("g", "a", "portal", "s")})
	wins := Race(t, func(i int) error {
		f := grant.New("g", "portal", grantTime)
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{grant.Start{Family: f, First: refresh(byte(i))}}})
	})
	if wins != 1 {
		t.Fatalf("%d families", wins)
	}
	conflicts(t, s, grant.Start{Family: grant.New("missing", "portal", grantTime), First: refresh(99)})
	commit(t, s, grant.Create{Grant: someGrant("dead", "a", "portal", "s")}, grant.Revoke{Grant: "dead", At: grantTime})
	conflicts(t, s, grant.Start{Family: grant.New("dead", "portal", grantTime), First: refresh(99)})
}

func oneLeaf(t *testing.T, s GrantStore) {
	for round := range 10 {
		id := fmt.Sprint("g", round)
		f := grant.New(id, "portal", grantTime)
		hash := func(i int) (h [32]byte) { copy(h[:], fmt.Sprint(round, "/", i)); return h }
		first := grant.Refresh{Hash: hash(-1), At: grantTime}
		commit(t, s, grant.Create{Grant: someGrant(id, "a", "portal", "s")}, grant.Start{Family: f, First: first})
		wins := Race(t, func(i int) error {
			w := rotate(f.ID, 0, 0, grantTime.Add(time.Second))
			w.Old, w.New.Hash = hash(-1), hash(i)
			return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{w}})
		})
		live := 0
		for i := range Racers {
			if r, _, _, err := s.RefreshByHash(t.Context(), hash(i)); err == nil && r.Live() {
				live++
			}
		}
		old, fam, _, err := s.RefreshByHash(t.Context(), hash(-1))
		if wins != 1 || live != 1 || err != nil || old.Live() || string(old.Sealed) != "sealed" || old.Scope != "openid" || old.Resource != "https://r.example" || !fam.UsedAt.Equal(grantTime.Add(time.Second)) {
			t.Fatalf("round %d: %d rotations, %d live leaves, old %+v, %v", round, wins, live, old, err)
		}
		if next, _, _, err := s.RefreshByHash(t.Context(), old.Child); err != nil || !next.Live() {
			t.Fatalf("the named successor is not the leaf: %+v, %v", next, err)
		}
	}
}

func endedFamily(t *testing.T, s GrantStore) {
	family(t, s, "gone", 1)
	commit(t, s, grant.RevokeFamily{Family: "fgone", At: grantTime})
	family(t, s, "nogrant", 2)
	commit(t, s, grant.Revoke{Grant: "nogrant", At: grantTime})
	family(t, s, "idle", 3)
	abs := family(t, s, "old", 4)
	for at := grantTime; at.Before(abs.ExpiresAt); at = at.Add(10 * 24 * time.Hour) {
		commit(t, s, grant.Touch{Family: "fold", Hash: [32]byte{4}, At: at})
	}
	for _, c := range []struct {
		family string
		leaf   byte
		at     time.Time
	}{{"fgone", 1, grantTime}, {"fnogrant", 2, grantTime}, {"fidle", 3, grantTime.Add(grant.IdleLifetime)}, {"fold", 4, abs.ExpiresAt}} {
		conflicts(t, s, rotate(c.family, c.leaf, c.leaf+100, c.at))
		conflicts(t, s, grant.Touch{Family: c.family, Hash: [32]byte{c.leaf}, At: c.at})
		if _, _, _, err := s.RefreshByHash(t.Context(), [32]byte{c.leaf + 100}); !errors.Is(err, grant.ErrNotFound) {
			t.Errorf("%s: a successor was stored: %v", c.family, err)
		}
	}
	if _, f, _, err := s.RefreshByHash(t.Context(), [32]byte{2}); err != nil || f.Revoked.IsZero() {
		t.Errorf("family of a revoked grant: %+v, %v", f, err)
	}
	family(t, s, "g5", 5)
	conflicts(t, s, rotate("fidle", 5, 6, grantTime)) // a token of another family
	commit(t, s, rotate("fg5", 5, 6, grantTime))
	conflicts(t, s, grant.Touch{Family: "fg5", Hash: [32]byte{5}, At: grantTime})
}

func issueBehindRevoke(t *testing.T, s GrantStore) {
	for round := range 10 {
		id := fmt.Sprint("r", round)
		commit(t, s, grant.Create{Grant: someGrant(id, "a", "portal", "s")})
		Race(t, func(i int) error {
			if i == Racers/2 {
				return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{grant.Revoke{Grant: id, At: grantTime}}})
			}
			return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{issue(fmt.Sprint(id, "-", i), id, "")}})
		})
		conflicts(t, s, issue(id+"-late", id, ""))
		conflicts(t, s, grant.Require{Grant: id})
		for i := range Racers {
			if a, _, err := s.AccessToken(t.Context(), fmt.Sprint(id, "-", i)); err == nil && a.Revoked.IsZero() {
				t.Fatalf("round %d: token %d stands under a revoked grant", round, i)
			}
		}
	}
	family(t, s, "g", 1)
	commit(t, s, grant.Require{Grant: "g"}, issue("before", "g", "fg"), issue("code", "g", ""))
	commit(t, s, grant.RevokeFamily{Family: "fg", At: grantTime})
	conflicts(t, s, issue("after", "g", "fg"))
	conflicts(t, s, grant.Require{Grant: "missing"})
	if a, _, err := s.AccessToken(t.Context(), "before"); err != nil || a.Revoked.IsZero() {
		t.Errorf("token of a revoked family: %+v, %v", a, err)
	}
	if a, _, err := s.AccessToken(t.Context(), "code"); err != nil || !a.Revoked.IsZero() {
		t.Errorf("token of the code: %+v, %v", a, err)
	}
}

func tombstones(t *testing.T, s GrantStore) {
	commit(t, s, grant.Create{Grant: someGrant("g", "a", "portal", "s")}, issue("mine", "g", ""), issue("other", "g", ""))
	until := grantTime.Add(5 * time.Minute)
	for _, jti := range []string{"mine", "machine", "machine"} {
		commit(t, s, grant.RevokeToken{JTI: jti, At: grantTime.Add(time.Second), Until: until})
	}
	if a, g, err := s.AccessToken(t.Context(), "mine"); err != nil || !a.Revoked.Equal(grantTime.Add(time.Second)) || g.ID != "g" || !g.Stands() {
		t.Errorf("own row: %+v, %+v, %v", a, g, err)
	}
	if a, g, err := s.AccessToken(t.Context(), "machine"); err != nil || a.Revoked.IsZero() || !a.ExpiresAt.Equal(until) || g.ID != "" {
		t.Errorf("no row: %+v, %+v, %v", a, g, err)
	}
	if a, _, err := s.AccessToken(t.Context(), "other"); err != nil || !a.Revoked.IsZero() {
		t.Errorf("another token: %+v, %v", a, err)
	}
	if _, _, err := s.AccessToken(t.Context(), "unknown"); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
}

func grantSweep(t *testing.T, s GrantStore) {
	f := family(t, s, "g", 1)
	commit(t, s, grant.Create{Grant: someGrant("bare", "a", "portal", "s")}, issue("j", "g", "fg"), rotate("fg", 1, 2, grantTime), grant.RevokeToken{JTI: "m", At: grantTime, Until: grantTime.Add(time.Minute)})
	sweepAt := func(at time.Time) {
		t.Helper()
		if _, err := s.Sweep(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	sweepAt(grantTime.Add(grant.RetryWindow))
	if old, _, _, err := s.RefreshByHash(t.Context(), [32]byte{1}); err != nil || len(old.Sealed) == 0 {
		t.Errorf("in the retry window: %+v, %v", old, err)
	}
	sweepAt(grantTime.Add(48 * time.Hour))
	_, _, tokenErr := s.AccessToken(t.Context(), "j")
	_, _, tombErr := s.AccessToken(t.Context(), "m")
	_, bareErr := s.Grant(t.Context(), "bare")
	old, _, _, err := s.RefreshByHash(t.Context(), [32]byte{1})
	if !errors.Is(tokenErr, grant.ErrNotFound) || !errors.Is(tombErr, grant.ErrNotFound) || !errors.Is(bareErr, grant.ErrNotFound) || err != nil || old.Live() || old.Sealed != nil {
		t.Errorf("after two days: %v, %v, %v, %+v, %v", tokenErr, tombErr, bareErr, old, err)
	}
	sweepAt(f.ExpiresAt.Add(48 * time.Hour))
	_, _, _, err = s.RefreshByHash(t.Context(), [32]byte{2})
	_, gErr := s.Grant(t.Context(), "g")
	if !errors.Is(err, grant.ErrNotFound) || !errors.Is(gErr, grant.ErrNotFound) {
		t.Errorf("after its end: %v, %v", err, gErr)
	}
}
