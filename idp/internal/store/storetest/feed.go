package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/feed"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/unit"
)

// FeedStore is what Feed needs.
type FeedStore interface {
	GrantStore
	feed.Reader
}

// Feed checks that what ends is told, to whom, and in which order.
func Feed[S FeedStore](t *testing.T, open func(*testing.T) S) {
	t.Run("each write tells those whom it concerns, and nobody else", func(t *testing.T) { t.Parallel(); told(t, open(t)) })
	t.Run("what was long unused, or ended before, is not told", func(t *testing.T) { t.Parallel(); toldNothing(t, open(t)) })
	t.Run("what was undone is not told, and takes no number", func(t *testing.T) { t.Parallel(); undoneUntold(t, open(t)) })
	t.Run("followers see each of many parallel revocations once, in one order", func(t *testing.T) { t.Parallel(); oneLine(t, open(t)) })
	t.Run("old events go, and the numbers go on", func(t *testing.T) { t.Parallel(); feedSweep(t, open(t)) })
	t.Run("an epoch is told to all, under another name of the line", func(t *testing.T) { t.Parallel(); feedEpoch(t, open(t)) })
}

// feedAPIs registers "cases" and "letters".
func feedAPIs(t *testing.T, s FeedStore) {
	t.Helper()
	commit(t, s, api.Create{API: someAPI("cases", "https://cases.example", "cases:read", "cases:write")}, api.Create{API: someAPI("letters", "https://letters.example", "letters:read")})
}

// feedCast makes people, whose names begin with n: account "a" has session "s1" with a grant for each API, and "s2" with one
// for cases; account "b" has "s3" with one for cases and one for the issuer alone. It has an app, a machine and a key too.
func feedCast(t *testing.T, s FeedStore, n byte) (name func(string) string) {
	t.Helper()
	name = func(what string) string { return fmt.Sprint("w", n, what) }
	people(t, s, name("a"), name("b"))
	commit(t, s,
		client.Create{Client: client.Client{ID: name("machine"), GrantTypes: []string{client.GrantClientCredentials}, APIs: []string{"cases"}, Scope: "cases:read cases:write letters:read"}},
		client.Create{Client: client.Client{ID: name("app"), GrantTypes: []string{client.GrantCode}, APIs: []string{"cases", "letters"}}},
		key(name("k"), "ES256", keyring.Retiring),
		began(name("s1"), name("a"), 4*n), began(name("s2"), name("a"), 4*n+1), began(name("s3"), name("b"), 4*n+2),
		grant.Allow{Account: name("a"), Client: name("app"), Scopes: []string{"openid"}, At: grantTime})
	for _, g := range []struct{ id, account, session, api string }{
		{"g1", "a", "s1", "cases"}, {"g2", "a", "s1", "letters"}, {"g3", "a", "s2", "cases"}, {"g4", "b", "s3", "cases"}, {"g5", "b", "s3", ""},
	} {
		w := someGrant(name(g.id), name(g.account), name("app"), name(g.session))
		w.API, w.Txn = g.api, name(g.id)
		commit(t, s, grant.Create{Grant: w})
	}
	f := grant.New(name("g1"), name("app"), grantTime)
	f.ID = name("fam")
	commit(t, s, grant.Start{Family: f, First: refresh(n)})
	return name
}

// lineOf returns an API's line as "kind ref".
func lineOf(t *testing.T, s feed.Reader, api string, after int64) (out []string) {
	t.Helper()
	list, err := s.FeedEvents(t.Context(), api, after, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range list {
		if e.API != api || e.Seq != after+int64(i)+1 || e.At.IsZero() {
			t.Errorf("event %d of %s: %+v", i, api, e)
		}
		out = append(out, fmt.Sprint(e.Kind, " ", e.Ref))
	}
	slices.Sort(out)
	return out
}

// ending is writes, and what each API hears of them: kind and name.
type ending struct {
	writes         []unit.Write
	cases, letters []string
}

func endings(n func(string) string) map[string]ending {
	at := grantTime.Add(time.Minute)
	off := client.Client{ID: n("machine"), Disabled: true, Version: 1, UpdatedAt: at}
	less := client.Client{ID: n("machine"), GrantTypes: []string{client.GrantClientCredentials}, Version: 1, UpdatedAt: at}
	more, app := less, less
	more.APIs, more.Scope = []string{"letters", "cases"}, "cases:read cases:write letters:read"
	narrow, other := more, more
	narrow.Scope, other.Scope = "cases:read letters:read", "cases:read cases:write"
	app.APIs, app.GrantTypes = more.APIs, []string{client.GrantCode}
	type w = []unit.Write
	type list = []string
	return map[string]ending{
		"a session":                            {w{session.End{ID: n("s1"), At: at}}, list{"session s1"}, list{"session s1"}},
		"a session with its grants":            {w{session.End{ID: n("s2"), At: at}, grant.RevokeSession{Session: n("s2"), At: at}}, list{"grant g3", "session s2"}, nil},
		"all sessions but one":                 {w{session.EndAll{Account: n("a"), Except: n("s2"), At: at}}, list{"session s1"}, list{"session s1"}},
		"all sessions":                         {w{session.EndAll{Account: n("a"), At: at}}, list{"session s1", "session s2"}, list{"session s1"}},
		"a consent":                            {w{grant.Withdraw{Account: n("a"), Client: n("app"), At: at}}, list{"grant g1", "grant g3"}, list{"grant g2"}},
		"a grant":                              {w{grant.Revoke{Grant: n("g2"), At: at}}, nil, list{"grant g2"}},
		"a grant for the issuer alone":         {w{grant.Revoke{Grant: n("g5"), At: at}}, nil, nil},
		"all grants but those of a session":    {w{grant.RevokeAccount{Account: n("a"), ExceptSession: n("s1"), At: at}}, list{"grant g3"}, nil},
		"all grants of an account":             {w{grant.RevokeAccount{Account: n("a"), At: at}}, list{"grant g1", "grant g3"}, list{"grant g2"}},
		"all grants of a client":               {w{grant.RevokeClient{Client: n("app"), At: at}}, list{"grant g1", "grant g3", "grant g4"}, list{"grant g2"}},
		"a family":                             {w{grant.RevokeFamily{Family: n("fam"), At: at}}, list{"grant g1"}, nil},
		"a family and its grant":               {w{grant.RevokeFamily{Family: n("fam"), At: at}, grant.Revoke{Grant: n("g1"), At: at}}, list{"grant g1"}, nil},
		"a token":                              {w{grant.RevokeToken{JTI: n("j1"), API: "cases", At: at, Until: at}}, list{"token j1"}, nil},
		"a token of the issuer":                {w{grant.RevokeToken{JTI: n("j2"), At: at, Until: at}}, nil, nil},
		"an account that is disabled":          {w{account.SetStatus{Account: n("a"), From: account.Active, Status: account.Disabled, At: at}}, list{"account a"}, list{"account a"}},
		"an account that is closed":            {w{account.SetStatus{Account: n("b"), From: account.Active, Status: account.Closed, At: at}}, list{"account b"}, nil},
		"a machine that is disabled":           {w{client.Update{Client: off}}, list{"client machine"}, nil},
		"a machine that loses an API":          {w{client.Update{Client: less}}, list{"client machine"}, nil},
		"a machine that is one no more":        {w{client.Update{Client: app}}, list{"client machine"}, nil},
		"a machine that gains an API":          {w{client.Update{Client: more}}, nil, nil},
		"a machine that loses a scope":         {w{client.Update{Client: narrow}}, list{"client machine"}, nil},
		"a machine that loses another's scope": {w{client.Update{Client: other}}, nil, nil},
		"all grants of a client for an API":    {w{grant.RevokeAPI{Client: n("app"), API: "cases", At: at}}, list{"grant g1", "grant g3", "grant g4"}, nil},
		"a machine that is deleted":            {w{client.Delete{ID: n("machine"), Version: 1}}, list{"client machine"}, nil},
		"an app that is deleted, of no grants": {w{client.Delete{ID: n("app"), Version: 1}}, nil, nil},
		"a key":                                {w{keyring.Move{ID: n("k"), From: keyring.Retiring, To: keyring.Discarded, At: at}}, list{"key k"}, list{"key k"}},
		"a key that only ends":                 {w{keyring.Move{ID: n("k"), From: keyring.Retiring, To: keyring.Retired, At: at}}, nil, nil},
	}
}

func told(t *testing.T, s FeedStore) {
	feedAPIs(t, s)
	n := byte(0)
	for what := range endings(func(string) string { return "" }) {
		n++
		name := feedCast(t, s, n)
		before, err := s.FeedHeads(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		e := endings(name)[what]
		commit(t, s, e.writes...)
		for api, want := range map[string][]string{"cases": e.cases, "letters": e.letters} {
			var heard []string
			for _, w := range want {
				kind, ref, _ := strings.Cut(w, " ")
				heard = append(heard, kind+" "+name(ref))
			}
			if got := lineOf(t, s, api, before.Last[api]); !reflect.DeepEqual(got, heard) {
				t.Errorf("%s: %s heard %q, want %q", what, api, got, heard)
			}
		}
	}
}

func toldNothing(t *testing.T, s FeedStore) {
	feedAPIs(t, s)
	n := feedCast(t, s, 1)
	late := grantTime.Add(feed.Recent + time.Minute)
	commit(t, s, grant.Revoke{Grant: n("g3"), At: late}, session.End{ID: n("s2"), At: late}, account.SetStatus{Account: n("b"), From: account.Active, Status: account.Disabled, At: late})
	if got := lineOf(t, s, "cases", 0); got != nil {
		t.Errorf("long unused: %q", got)
	}
	commit(t, s, grant.Touch{Family: n("fam"), Hash: [32]byte{1}, At: late.Add(-time.Hour)})
	commit(t, s, grant.Revoke{Grant: n("g1"), At: late})
	commit(t, s, grant.Revoke{Grant: n("g1"), At: late.Add(time.Second)}, grant.RevokeAccount{Account: n("a"), At: late.Add(time.Second)})
	if got := lineOf(t, s, "cases", 0); !reflect.DeepEqual(got, []string{"grant " + n("g1")}) {
		t.Errorf("used an hour before: %q", got)
	}
}

func undoneUntold(t *testing.T, s FeedStore) {
	feedAPIs(t, s)
	commit(t, s, unit.Spend{Kind: "k", Key: unit.Key("taken"), Until: grantTime})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			jti := fmt.Sprint("j", i)
			u := unit.Unit{Writes: []unit.Write{grant.RevokeToken{JTI: jti, API: "cases", At: grantTime, Until: grantTime}}}
			if i%2 == 1 {
				u.Writes = append(u.Writes, unit.Spend{Kind: "k", Key: unit.Key("taken"), Until: grantTime})
			}
			if err := s.Commit(t.Context(), u); unit.IsConflict(err) != (i%2 == 1) {
				t.Errorf("unit %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if got := lineOf(t, s, "cases", 0); len(got) != 20 {
		t.Errorf("%d events: %q", len(got), got)
	}
}

// oneLine has followers read all the time, while many revoke on all replicas.
func oneLine(t *testing.T, s FeedStore) {
	feedAPIs(t, s)
	ctx, done := context.WithCancel(t.Context())
	defer done()
	const followers = 4
	seen := make([][]feed.Event, followers)
	var following, revoking sync.WaitGroup
	for i := range followers {
		following.Go(func() {
			var after int64
			for len(seen[i]) < 2*Racers && ctx.Err() == nil {
				list, err := s.FeedEvents(ctx, "cases", after, 7)
				if err != nil {
					t.Error(err)
					return
				}
				if len(list) > 0 {
					seen[i], after = append(seen[i], list...), list[len(list)-1].Seq
				}
			}
		})
	}
	for i := range Racers {
		revoking.Go(func() {
			for n := range 2 {
				jti := fmt.Sprint("j", n, "-", i)
				commit(t, s, grant.RevokeToken{JTI: jti, API: "cases", At: grantTime, Until: grantTime}, grant.RevokeToken{JTI: "x" + jti, API: "letters", At: grantTime, Until: grantTime})
			}
		})
	}
	revoking.Wait()
	time.AfterFunc(10*time.Second, done)
	following.Wait()
	for i, list := range seen {
		refs := map[string]bool{}
		for k, e := range list {
			refs[e.Ref] = true
			if e.Seq != int64(k)+1 {
				t.Fatalf("follower %d saw number %d after %d", i, e.Seq, k)
			}
		}
		if len(refs) != 2*Racers {
			t.Errorf("follower %d saw %d of %d", i, len(refs), 2*Racers)
		}
	}
	h, err := s.FeedHeads(t.Context())
	if err != nil || h.Last["cases"] != 2*Racers || h.Last["letters"] != 2*Racers || len(h.Last) != 2 {
		t.Errorf("heads %+v, %v", h, err)
	}
}

func feedSweep(t *testing.T, s FeedStore) {
	feedAPIs(t, s)
	token := func(jti string) {
		t.Helper()
		commit(t, s, grant.RevokeToken{JTI: jti, API: "cases", At: grantTime, Until: grantTime})
	}
	line := func(since time.Time) feed.Line {
		t.Helper()
		l, err := s.FeedLine(t.Context(), "cases", since)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	token("a")
	token("b")
	now := time.Now()
	name := line(now).Name
	if got, want := line(now.Add(-time.Hour)), (feed.Line{Name: name, First: 1, Last: 2, Since: 1}); got != want || name == "" {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := line(now.Add(time.Hour)); got.Since != 0 {
		t.Errorf("an hour ahead: %+v", got)
	}
	if _, err := s.Sweep(t.Context(), now.Add(-time.Minute)); err != nil || len(lineOf(t, s, "cases", 0)) != 2 {
		t.Errorf("swept too early: %v", err)
	}
	if _, err := s.Sweep(t.Context(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got, want := line(now.Add(-time.Hour)), (feed.Line{Name: name, Last: 2}); got != want {
		t.Errorf("swept: got %+v, want %+v", got, want)
	}
	token("c")
	if got, want := line(now.Add(-time.Hour)), (feed.Line{Name: name, First: 3, Last: 3, Since: 3}); got != want {
		t.Errorf("after: got %+v, want %+v", got, want)
	}
}

func feedEpoch(t *testing.T, s FeedStore) {
	if h, err := s.FeedHeads(t.Context()); err != nil || h.Name == "" {
		t.Errorf("no name before the first event: %+v, %v", h, err)
	}
	feedAPIs(t, s)
	before, err := s.FeedHeads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, feed.NewEpoch("2"))
	after, err := s.FeedHeads(t.Context())
	if err != nil || after.Name == before.Name || after.Last["cases"] != 1 || after.Last["letters"] != 1 {
		t.Errorf("%+v, then %+v, %v", before, after, err)
	}
	if got := lineOf(t, s, "letters", 0); !reflect.DeepEqual(got, []string{"epoch 2"}) {
		t.Errorf("heard %q", got)
	}
}
