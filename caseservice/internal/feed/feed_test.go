package feed_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/feed"
	"ellis.example/caseservice/internal/issuer"
)

func TestFollow_EachKindOfEventVoidsItsTokensAndNoOthers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ kind, member string }{
		{issuertest.SessionRevoked, "sid"}, {issuertest.GrantRevoked, "txn"}, {issuertest.TokenRevoked, "jti"}, {issuertest.AccountDisabled, "sub"},
	} {
		f := following(t)
		f.want("ok", f.check(tc.member, "x"))
		f.tell(tc.kind, "x")
		for _, member := range []string{"sid", "txn", "jti", "sub"} { // an identifier of one kind means nothing as another
			want := "ok"
			if member == tc.member {
				want = "revoked"
			}
			if got := f.check(member, "x"); got != want {
				t.Errorf("%s, token with this %s: %s", tc.kind, member, got)
			}
		}
		f.want("ok", f.check(tc.member, "X"))
		f.want("ok", f.check("sid", nil, "txn", nil))
	}
}

func TestFollow_AnAccountsTokensAreVoidUntilTheEventAndNoLonger(t *testing.T) {
	t.Parallel()
	f := following(t)
	f.tell(issuertest.AccountDisabled, "p1")
	now := start.Unix()
	f.want("revoked", f.check("iat", now))
	f.want("ok", f.check("iat", now+1))
	f.clock.Advance(10 * time.Second)
	f.until("fresh again", f.Fresh)
	f.tell(issuertest.AccountDisabled, "p1") // a second time
	f.want("revoked", f.check("iat", now+10))
	f.want("ok", f.check("iat", now+11))
}

func TestFollow_AMachinesTokensAreVoidByWhateverClockOfTheIssuerMadeThem(t *testing.T) {
	t.Parallel()
	f := following(t)
	f.tell(issuertest.AccountDisabled, "robot")
	check := func(ahead time.Duration) string {
		c := f.issuer.Machine("robot", "cases:read")
		token, text := f.token(c.With("iat", start.Add(ahead).Unix()))
		return verdict(f.Check(t.Context(), token, text))
	}
	f.want("revoked", check(0))
	f.want("revoked", check(clock.Skew)) // of a replica whose clock is as far ahead as clocks may be
	f.want("ok", check(clock.Skew+time.Second))
}

func TestFollow_AnEpochVoidsWhateverWasIssuedBefore(t *testing.T) {
	t.Parallel()
	f := following(t)
	f.tell(issuertest.EpochRaised, "7")
	now := start.Unix()
	f.want("revoked", f.check("iat", now))
	f.want("revoked", f.check("iat", now-100, "sid", nil, "txn", nil))
	f.want("ok", f.check("iat", now+1))
}

func TestFollow_AKeyVoidsTheTokensThatItSignedAndSignsNoMoreEvents(t *testing.T) {
	t.Parallel()
	f := following(t)
	old := f.issuer.Key().KeyID
	token, text := f.token(f.issuer.Person("p1", "cases:read"))
	f.issuer.Rotate("ES256") // without notice, as in an emergency
	f.tell(issuertest.KeyRevoked, old)
	f.want("revoked", verdict(f.Check(t.Context(), token, text)))
	f.want("ok", f.check())
	for range 5 { // for as long as the process runs: who has copied the key makes new ones
		f.clock.Advance(10 * time.Minute)
		f.until("fresh", f.Fresh)
	}
	f.want("revoked", verdict(f.Check(t.Context(), token, text)))
	f.issuer.Revoke(issuertest.KeyRevoked, f.issuer.Key().KeyID) // signed with the very key: it takes effect
	f.until("took effect", func() bool { return f.applied.Load() == 2 })
	f.issuer.Revoke(issuertest.GrantRevoked, "x") // and no event that it signs afterwards does
	f.until("refused", func() bool { return f.refused.Load() > 0 })
	if f.applied.Load() != 2 || !f.said("no such key") {
		t.Errorf("%d took effect", f.applied.Load())
	}
}

// Right after a key was revoked, one replica of the issuer may still answer with the keys of before: who signs now is found as
// soon as all agree, however many unknown keys were asked for before.
func TestFollow_AKeyThatFollowsARevokedOneIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	f := following(t)
	find := func(kid string) bool {
		k, err := f.keys.Find(t.Context(), kid)
		if err != nil {
			t.Fatal(err)
		}
		return k != nil
	}
	f.clock.Advance(time.Minute)
	f.until("fresh", f.Fresh)
	if find("of-a-stranger") { // it spends the allowance
		t.Fatal("a key that nobody has")
	}
	for range 3 {
		f.clock.Advance(20 * time.Second)
		old := f.issuer.JWKS()
		f.tell(issuertest.KeyRevoked, "some-key")
		fetches := f.issuer.KeyFetches()
		f.issuer.Stale(&old)
		next := f.issuer.Rotate("ES256")
		f.clock.Advance(time.Second)
		if find(next) {
			t.Error("it is not there yet")
		}
		f.issuer.Stale(nil)
		f.clock.Advance(time.Second)
		if !find(next) || f.issuer.KeyFetches() <= fetches {
			t.Error("who signs now is not known")
		}
	}
	f.clock.Advance(time.Minute)
	f.issuer.Rotate("ES256")
	fetches := f.issuer.KeyFetches()
	if find("of-a-stranger") || f.issuer.KeyFetches() != fetches {
		t.Error("strangers have keys fetched without end")
	}
}

func TestFollow_NeverMissesOneAmongThousandsAndSeveralAtOnce(t *testing.T) {
	t.Parallel()
	f := following(t)
	const each = 300
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range each {
				f.issuer.Revoke(issuertest.GrantRevoked, fmt.Sprintf("txn-%d-%d", w, n))
			}
		})
	}
	wg.Wait()
	f.until("all took effect", func() bool { return f.applied.Load() == 4*each })
	for w := range 4 {
		for n := range each {
			f.want("revoked", f.check("txn", fmt.Sprintf("txn-%d-%d", w, n)))
		}
	}
	if n := f.Known(); n != 4*each {
		t.Errorf("%d are known", n)
	}
}

func TestFollow_AStartReadsWhatHappenedBefore(t *testing.T) {
	t.Parallel()
	f := idle(t)
	for n := range 250 { // more than one answer
		f.issuer.Revoke(issuertest.GrantRevoked, fmt.Sprint("txn-", n))
	}
	if f.Fresh() {
		t.Error("fresh before anything was read")
	}
	f.begin()
	f.until("fresh", f.Fresh)
	for _, n := range []int{0, 99, 100, 249} {
		f.want("revoked", f.check("txn", fmt.Sprint("txn-", n)))
	}
	if f.issuer.Polls() < 3 {
		t.Errorf("%d polls", f.issuer.Polls())
	}
}

func TestFollow_ForgetsWhatVoidsNothingMoreAndNothingSooner(t *testing.T) {
	t.Parallel()
	f := following(t)
	f.tell(issuertest.GrantRevoked, "x")
	f.tell(issuertest.GrantRevoked, "x") // it changes nothing
	f.tell(issuertest.AccountDisabled, "p9")
	f.clock.Advance(time.Minute)
	f.tell(issuertest.AccountDisabled, "p9") // it is known for longer
	f.clock.Advance(feed.Keep - time.Minute - time.Second)
	f.tell(issuertest.TokenRevoked, "later")
	f.want("revoked", f.check("txn", "x"))
	f.clock.Advance(time.Second)
	f.tell(issuertest.TokenRevoked, "later-still")
	f.until("forgotten", func() bool { return f.Known() == 3 })
	f.until("fresh", f.Fresh)
	f.want("ok", f.check("txn", "x"))
	f.want("revoked", f.check("sub", "p9", "iat", start.Add(time.Minute).Unix()))
	f.clock.Advance(time.Hour)
	f.tell(issuertest.TokenRevoked, "at-last")
	f.until("forgotten", func() bool { return f.Known() == 1 })
	if feed.Keep < feed.MaxTokenLife+time.Minute {
		t.Error("a token lives longer than its revocation is known")
	}
}

func TestFollow_WithoutRoomItDoesWithoutTheFeedUntilNothingIsMissing(t *testing.T) {
	t.Parallel()
	f := following(t)
	f.Bound(3)
	for n := range 3 {
		f.tell(issuertest.GrantRevoked, fmt.Sprint("txn-", n))
	}
	f.want("ok", f.check())
	f.tell(issuertest.GrantRevoked, "one-too-many")
	f.issuer.Deactivate("gone")
	f.want("revoked", f.check("jti", "gone", "txn", "one-too-many"))
	f.want("revoked", f.check("txn", "txn-0"))
	f.want("ok", f.check())
	if f.Fresh() || f.issuer.Asked() != 2 || !f.said("could not be kept") {
		t.Errorf("fresh %v, asked %d", f.Fresh(), f.issuer.Asked())
	}
	f.clock.Advance(feed.Keep)
	f.until("fresh again", f.Fresh)
}

func TestFollow_AnEventOfATypeThatIsNotKnownMakesItAskUntilNoTokenCanBeMeant(t *testing.T) {
	t.Parallel()
	f := following(t)
	c := f.issuer.Event("urn:ellis:events:of-next-year", "x").With("sub_id", nil)
	c["events"] = map[string]any{"urn:ellis:events:of-next-year": map[string]any{}}
	f.issuer.Publish(c)
	f.until("it was read", func() bool { return f.applied.Load() == 1 })
	f.issuer.Deactivate("gone")
	f.want("revoked", f.check("jti", "gone"))
	f.tell(issuertest.GrantRevoked, "x") // the feed goes on
	f.want("revoked", f.check("txn", "x"))
	f.clock.Advance(feed.Keep - time.Second)
	time.Sleep(20 * time.Millisecond)
	if f.Fresh() {
		t.Error("fresh too soon")
	}
	f.clock.Advance(time.Second)
	f.until("fresh again", f.Fresh)
}

func TestFollow_ACursorThatIsNotKnownBeginsAnewAndForgetsNothing(t *testing.T) {
	t.Parallel()
	f := following(t)
	f.tell(issuertest.GrantRevoked, "x")
	release := make(chan struct{})
	f.issuer.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/introspect" {
			return false
		}
		<-release
		return false
	})
	f.issuer.ForgetCursors()
	close(release)
	f.until("it begins anew", func() bool { return f.said("begins anew") })
	f.issuer.Fault(nil)
	f.until("fresh again", f.Fresh)
	f.want("revoked", f.check("txn", "x"))
	f.tell(issuertest.GrantRevoked, "y")
	f.want("revoked", f.check("txn", "y"))
}

func TestFollow_WhileItBeginsAnewTokensAreAskedAbout(t *testing.T) {
	t.Parallel()
	f := following(t)
	began := make(chan struct{})
	var once sync.Once
	f.issuer.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/events/poll" {
			return false
		}
		select {
		case <-began: // and then it says nothing
			time.Sleep(50 * time.Millisecond)
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			once.Do(func() { close(began) })
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"err":"invalid_request","description":"too old"}`))
		}
		return true
	})
	f.until("it begins anew", func() bool { return f.said("begins anew") })
	if f.Fresh() {
		t.Error("fresh although something may be missing")
	}
	f.issuer.Deactivate("gone")
	f.want("revoked", f.check("jti", "gone"))
	f.want("ok", f.check())
}

func TestFollow_ASilentIssuerIsAskedAboutEachTokenAfterThePatience(t *testing.T) {
	t.Parallel()
	f := following(t)
	f.issuer.Deactivate("gone") // the feed has not told yet
	f.want("ok", f.check("jti", "gone"))
	f.issuer.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/events/poll" {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	f.until("it fails", func() bool { return f.said("could not be followed") })
	f.clock.Advance(feed.DefaultPatience)
	f.want("ok", f.check("jti", "gone")) // at the very end of the patience
	f.clock.Advance(time.Millisecond)
	f.want("revoked", f.check("jti", "gone"))
	f.want("ok", f.check())
	f.issuer.Down(true)
	f.want("unknown", f.check())
	f.issuer.Down(false)
	f.issuer.Fault(nil)
	f.until("fresh again", f.Fresh)
	f.until("it says so", func() bool { return f.said("followed again") })
}

func TestFollow_AClockThatIsSetBackMakesNothingFresh(t *testing.T) {
	t.Parallel()
	f := following(t)
	f.stop()
	f.clock.Advance(-time.Hour)
	if f.Fresh() {
		t.Error("what is heard in the future is fresh for an hour")
	}
}

func TestFollow_MeasuresTheDelayFromTheTimeOfTheEvent(t *testing.T) {
	t.Parallel()
	f := idle(t)
	f.issuer.Revoke(issuertest.GrantRevoked, "before")
	f.clock.Advance(5 * time.Minute)
	f.begin()
	f.until("fresh", f.Fresh)
	if d := time.Duration(f.delay.Load()); f.applied.Load() != 1 || d >= 0 {
		t.Errorf("what happened before the start was delayed by %v", d)
	}
	f.issuer.Publish(f.issuer.Event(issuertest.GrantRevoked, "x").With("toe", float64(f.clock.Now().UnixMilli()-250)/1000))
	f.until("applied", func() bool { return f.applied.Load() == 2 })
	if d := time.Duration(f.delay.Load()); d < 249*time.Millisecond || d > 251*time.Millisecond {
		t.Errorf("%v", d)
	}
	f.issuer.Publish(f.issuer.Event(issuertest.GrantRevoked, "y").With("toe", nil))
	f.until("applied", func() bool { return f.applied.Load() == 3 })
	if d := time.Duration(f.delay.Load()); d >= 0 {
		t.Errorf("%v of an event that does not say when it happened", d)
	}
	f.clock.Advance(4 * time.Second)
	if d := f.Age(); d < 0 || d > 4*time.Second {
		t.Errorf("age %v", d)
	}
}

func TestFollow_AnIssuerThatDoesNotHoldPollsIsNotAskedWithoutEnd(t *testing.T) {
	t.Parallel()
	f := idle(t)
	var polls atomic.Int64
	f.issuer.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/events/poll" {
			return false
		}
		polls.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"sets":{},"moreAvailable":false,"cursor":"c"}`))
		return true
	})
	f.begin()
	time.Sleep(400 * time.Millisecond)
	f.stop()
	if n := polls.Load(); n < 2 || n > 12 {
		t.Errorf("%d polls in 400 ms", n)
	}
}

func TestFollow_AnIssuerThatLearnsToTellIsFollowedWithoutARestart(t *testing.T) {
	t.Parallel()
	f := idle(t)
	f.issuer.WithoutFeed(true)
	f.begin()
	f.until("it says what is missing", func() bool { return f.said("ellis_events_endpoint") })
	f.want("ok", f.check()) // by introspection
	f.issuer.WithoutFeed(false)
	f.until("fresh", f.Fresh)
}

func TestFollow_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := following(t)
	began := time.Now()
	f.stop()
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestFollow_ASecretThatIsNotTakenFailsClosed(t *testing.T) {
	t.Parallel()
	f := idle(t)
	wrong := feed.New(feed.Options{
		Issuer: issuer.New(issuer.Options{URL: f.issuer.URL, Clock: f.clock}), Audience: issuertest.Audience, ClientID: issuertest.ClientID, Secret: "wrong", Clock: f.clock,
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	wrong.Follow(ctx)
	token, text := f.token(f.issuer.Person("p1", "cases:read"))
	f.want("unknown", verdict(wrong.Check(t.Context(), token, text)))
}
