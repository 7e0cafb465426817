package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/feed"
	"ellis.example/idp/internal/unit"
)

// poll sends a poll as a client.
func (w *world) poll(client, body string) answer {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.issuer+"/events/poll", strings.NewReader(body))
	w.must(err)
	req.Header.Set("Content-Type", "application/json")
	if client != "" {
		req.Header.Set("Authorization", w.basic(client))
	}
	return w.send(req)
}

// follower follows an API's line as its server does.
type follower struct {
	w        *world
	api      string // its id, and its client's
	audience string
	cursor   string
	sets     []object // the claims of everything that was heard
}

// follow begins at the end of what there is.
func (w *world) follow(api, audience string) *follower {
	f := &follower{w: w, api: api, audience: audience}
	f.next()
	f.sets = nil
	return f
}

// next polls once and returns what is new: kind and subject of each event.
func (f *follower) next(members ...string) []string {
	f.w.Helper()
	body := `{"maxEvents":100,` + strings.Join(append(members, `"returnImmediately":true`)[:1], "") + `,"ack":[],"after":"` + f.cursor + `"}`
	a := f.w.poll(f.api, body)
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" || a.object["moreAvailable"] != false {
		f.w.Fatalf("poll of %s: %d %s", f.api, a.status, a.body)
	}
	f.cursor = a.str("cursor")
	heard := []string{}
	sets, _ := a.object["sets"].(map[string]any)
	for jti, text := range sets {
		heard = append(heard, f.verify(jti, text.(string)))
	}
	slices.Sort(heard)
	return heard
}

// wait polls until there is something or the poll ends.
func (f *follower) wait() []string { f.w.Helper(); return f.next(`"returnImmediately":false`) }

var kindsOfEvents = map[string]string{
	"https://schemas.openid.net/secevent/caep/event-type/session-revoked": "session", "https://schemas.openid.net/secevent/risc/event-type/account-disabled": "account",
	"urn:ellis:events:grant-revoked": "grant", "urn:ellis:events:token-revoked": "token", "urn:ellis:events:key-revoked": "key", "urn:ellis:events:epoch-raised": "epoch",
}

// verify checks a SET by the published keys, as RFC 8417 has it.
func (f *follower) verify(jti, text string) string {
	w := f.w
	w.Helper()
	js, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA})
	w.must(err)
	head := js.Signatures[0].Protected
	keys := w.published()
	key := keys.Key(head.KeyID)
	if len(key) != 1 || key[0].Algorithm != head.Algorithm || head.ExtraHeaders[jose.HeaderType] != "secevent+jwt" {
		w.Fatalf("header %+v", head)
	}
	raw, err := js.Verify(key[0].Key)
	w.must(err)
	var c struct {
		Iss, Aud, JTI string
		IAT           int64
		TOE           float64
		SubID         struct{ Format, ID string } `json:"sub_id"`
		Events        map[string]struct {
			At int64 `json:"event_timestamp"`
		}
	}
	w.must(json.Unmarshal(raw, &c))
	now := w.clock.Now().Unix()
	if c.Iss != w.issuer || c.Aud != f.audience || c.JTI != jti || c.IAT != now || c.SubID.Format != "opaque" || len(c.Events) != 1 {
		w.Errorf("claims %s", raw)
	}
	var all object
	w.must(json.Unmarshal(raw, &all))
	f.sets = append(f.sets, all)
	for name, e := range c.Events {
		if e.At < int64(c.TOE) || e.At > int64(c.TOE)+1 || kindsOfEvents[name] == "" {
			w.Errorf("event %s", raw)
		}
		return kindsOfEvents[name] + " " + c.SubID.ID
	}
	return ""
}

// feedScene is a person with tokens of two APIs in one session, and a machine with one.
type feedScene struct {
	*world
	b               *browser
	cases, letters  answer
	code            string // of cases
	machines        answer
	fCases, fLetter *follower
}

func newFeedScene(t *testing.T) *feedScene {
	t.Helper()
	w := newWorld(t)
	w.onTime() // commands have a clock of their own
	s := &feedScene{world: w, b: w.browser()}
	s.code = s.b.newCode(ana, "web")
	s.cases = w.redeem("web", s.code)
	s.letters = w.redeem("web", s.b.newCode(ana, "web", "scope", "openid offline_access letters.read"))
	s.machines = w.machine("machine", "scope", "cases.read")
	s.fCases, s.fLetter = w.follow("cases", casesAPI), w.follow("letters", letterAPI)
	return s
}

// claim of an access token.
func claim(a answer, name string) string {
	_, c := claims(a.str("access_token"))
	s, _ := c[name].(string)
	return s
}

// said puts claims of an answer's token in place of their names.
func said(a answer, list ...string) []string {
	out := []string{}
	for _, l := range list {
		kind, name, _ := strings.Cut(l, " ")
		out = append(out, kind+" "+claim(a, name))
	}
	slices.Sort(out)
	return out
}

// command runs one of the program's own, beside the provider.
func (w *world) command(args ...string) {
	w.Helper()
	var out, errs bytes.Buffer
	args = append(args, "--database", "sqlite:"+w.file)
	if args[0] == "keys" {
		args = append(args, "--kek-file", kekFile(w.T, testKEK))
	}
	if status := run(w.Context(), args, &out, &errs); status != exitOK {
		w.Fatalf("%v: %d %s", args, status, errs.String())
	}
}

// way is how something ends, and what each API hears of it: kinds, and the claims of its own token.
type way struct {
	do             func(s *feedScene)
	cases, letters []string
}

func feedWays() map[string]way {
	both, grant := []string{"grant txn", "session sid"}, []string{"grant txn"}
	gone := []string{"account sub", "grant txn", "session sid"}
	again := func(s *feedScene) {
		s.refresh("web", s.cases.str("refresh_token"))
		s.clock.Advance(time.Minute)
		s.wants("reuse", s.refresh("web", s.cases.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
	}
	return map[string]way{
		"the person signs out":              {func(s *feedScene) { s.b.logOut() }, both, both},
		"the consent is withdrawn":          {func(s *feedScene) { s.b.withdraw("web") }, grant, grant},
		"the person ends it from elsewhere": {func(s *feedScene) { s.elsewhere().get("/account/sessions").press("all", "others") }, both, both},
		"the password is changed":           {func(s *feedScene) { s.changes(s.elsewhere()) }, both, both},
		"the password is changed here":      {func(s *feedScene) { s.changes(s.b) }, grant, grant},
		"the account is disabled":           {func(s *feedScene) { s.command("user", "disable", ana, "--reason", "test") }, gone, gone},
		"the app is disabled":               {func(s *feedScene) { s.disable("web", true) }, grant, grant},
		"the app is deleted":                {func(s *feedScene) { s.command("client", "delete", "web") }, grant, grant},
		"a refresh token is revoked":        {func(s *feedScene) { s.revoked("web", s.cases.str("refresh_token")) }, grant, nil},
		"an access token is revoked":        {func(s *feedScene) { s.revoked("web", s.cases.str("access_token")) }, []string{"token jti"}, nil},
		"another API's token is revoked":    {func(s *feedScene) { s.revoked("web", s.letters.str("access_token")) }, nil, []string{"token jti"}},
		"a refresh token is used again":     {again, grant, nil},
		"a code is used again":              {func(s *feedScene) { s.redeem("web", s.code) }, grant, nil},
	}
}

// elsewhere is another browser of the same person.
func (s *feedScene) elsewhere() *browser {
	b := s.browser()
	b.get("/account").signIn(ana)
	return b
}

func (s *feedScene) changes(b *browser) {
	s.Helper()
	if p := b.get("/account/password").submit("current_password", pass, "new_password", "another lamp on that jetty"); p.status != http.StatusOK || !strings.Contains(p.text(), "Your password is changed.") {
		s.Fatalf("not changed: %d at %s: %s", p.status, p.url, p.text())
	}
}

func TestFeed_EachAPIHearsOfEveryWayInWhichItsTokensEnd(t *testing.T) {
	t.Parallel()
	for name, way := range feedWays() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFeedScene(t)
			way.do(s)
			if s.active("cases", s.cases.str("access_token")) != (way.cases == nil) {
				t.Error("introspection and the feed say different things")
			}
			for _, c := range []struct {
				f    *follower
				a    answer
				want []string
			}{{s.fCases, s.cases, way.cases}, {s.fLetter, s.letters, way.letters}} {
				if got, want := c.f.next(), said(c.a, c.want...); !reflect.DeepEqual(got, want) {
					t.Errorf("%s heard %q, want %q", c.f.api, got, want)
				}
				if got := c.f.next(); len(got) != 0 {
					t.Errorf("%s heard it again: %q", c.f.api, got)
				}
			}
			s.nothingInCommon()
		})
	}
}

// nothingInCommon fails the test if what two APIs heard could be put together by what is in it.
func (s *feedScene) nothingInCommon() {
	s.Helper()
	texts := func(f *follower) map[string]bool {
		out := map[string]bool{f.cursor: true, f.cursor[:strings.Index(f.cursor, ".")]: true}
		for _, c := range f.sets {
			out[c["jti"].(string)] = true
			out[c["sub_id"].(map[string]any)["id"].(string)] = true
		}
		return out
	}
	theirs := texts(s.fLetter)
	for text := range texts(s.fCases) {
		if theirs[text] {
			s.Errorf("both APIs were told %q", text)
		}
	}
	for _, f := range []*follower{s.fCases, s.fLetter} {
		for _, c := range f.sets {
			if b, _ := json.Marshal(c); strings.Contains(string(b), s.people[ana]) || strings.Contains(string(b), "ses_") || strings.Contains(string(b), "txn_") || strings.Contains(string(b), "grt_") {
				s.Errorf("an identifier of ours went out: %s", b)
			}
		}
	}
}

func TestFeed_TellsOfMachinesAndKeys(t *testing.T) {
	t.Parallel()
	s := newFeedScene(t)
	is := func(what string, cases, letters []string) {
		t.Helper()
		if c, l := s.fCases.next(), s.fLetter.next(); !slices.Equal(c, cases) || !slices.Equal(l, letters) {
			t.Errorf("%s: cases heard %q, letters %q", what, c, l)
		}
	}
	s.revoked("machine", s.machines.str("access_token"))
	is("a machine's token", said(s.machines, "token jti"), nil)
	s.disable("machine", true)
	is("a machine is disabled", []string{"account machine"}, []string{"account machine"})
	s.command("client", "delete", "key")
	is("a machine is deleted", []string{"account key"}, nil)

	head, _ := claims(s.cases.str("access_token"))
	kid := head["kid"].(string)
	s.command("keys", "revoke", kid)
	is("a key is revoked", []string{"key " + kid}, []string{"key " + kid})
	s.later()
	if jwks := s.published(); len(jwks.Key(kid)) != 0 || s.active("cases", s.cases.str("access_token")) {
		t.Error("the key is published, or a token of it stands")
	}
	if a := s.refresh("web", s.cases.str("refresh_token")); a.status != http.StatusOK || !s.active("cases", a.str("access_token")) {
		t.Errorf("nothing is signed any more: %d %s", a.status, a.body)
	}
	var out, errs bytes.Buffer
	for kid, want := range map[string]string{kid: "revoked before", "nobody": "no signing key"} {
		if got := run(t.Context(), []string{"keys", "revoke", kid, "--database", "sqlite:" + s.file, "--kek-file", kekFile(t, testKEK)}, &out, &errs); got != exitFailed || !strings.Contains(errs.String(), want) {
			t.Errorf("revoking %s: %d %s", kid, got, errs.String())
		}
	}
	s.must(s.p.ring.Rotate(t.Context(), "EdDSA", true))
	heard := s.fCases.next()
	if len(heard) < 2 || !slices.Equal(heard, s.fLetter.next()) || !strings.HasPrefix(heard[0], "key ") {
		t.Errorf("an emergency rotation: %q", heard)
	}
}

func TestFeed_AnEpochEndsTheLine(t *testing.T) {
	t.Parallel()
	s := newFeedScene(t)
	s.must(s.p.store.Commit(t.Context(), unit.Unit{Writes: []unit.Write{feed.NewEpoch("2")}, Event: audit.Event{Type: "epoch.raised"}}))
	if a := s.poll("cases", `{"after":"`+s.fCases.cursor+`"}`); a.status != http.StatusBadRequest || a.str("err") != "invalid_request" {
		t.Errorf("a place of the life before: %d %s", a.status, a.body)
	}
	s.fCases.cursor = ""
	if got := s.fCases.next(); !slices.Equal(got, []string{"epoch 2"}) {
		t.Errorf("heard %q", got)
	}
}

// A database that was set back lacks what was revoked since: nobody hears from it that nothing was.
func TestFeed_ADatabaseThatWasSetBackTellsNothing(t *testing.T) {
	t.Parallel()
	s := newFeedScene(t)
	token := s.cases.str("access_token")
	waits := make(chan answer, 1)
	go func() { waits <- s.poll("cases", `{"after":"`+s.fCases.cursor+`"}`) }()
	time.Sleep(100 * time.Millisecond) // it waits now
	s.p.store.Halt()
	for what, a := range map[string]answer{
		"who waited": <-waits, "from a place": s.poll("cases", `{"returnImmediately":true,"after":"`+s.fCases.cursor+`"}`), "from the beginning": s.poll("cases", `{"returnImmediately":true}`),
		"introspection": s.as("cases", "/introspect", url.Values{"token": {token}}),
	} {
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.object["sets"] != nil || a.object["active"] != nil {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
}

// A poll says how long it was held, so that its follower knows how old its answer is.
func TestFeed_SaysHowLongAPollWasHeld(t *testing.T) {
	t.Parallel()
	s := newFeedScene(t)
	s.clock.Advance(-time.Second)
	waits := make(chan answer, 1)
	go func() { waits <- s.poll("cases", `{"after":"`+s.fCases.cursor+`"}`) }()
	time.Sleep(100 * time.Millisecond) // it waits now
	s.clock.Advance(time.Second)
	if a := <-waits; a.status != http.StatusOK || a.object["held"] != 1000.0 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// The time from a commit to the answer that tells of it is measured where somebody waited for it, and nowhere else.
func TestFeed_MeasuresTheDelayForWhoWaits(t *testing.T) {
	t.Parallel()
	s := newFeedScene(t)
	delays := func() uint64 {
		t.Helper()
		all, err := s.p.metrics.Gather()
		s.must(err)
		for _, m := range all {
			if m.GetName() == "idp_feed_delay_seconds" {
				return m.GetMetric()[0].GetHistogram().GetSampleCount()
			}
		}
		t.Fatal("there is no such metric")
		return 0
	}
	s.revoked("web", s.cases.str("access_token"))
	for _, begin := range []func() []string{func() []string { return s.fCases.next() }, s.fCases.wait} {
		s.fCases.cursor = ""
		if heard := begin(); len(heard) != 1 || delays() != 0 {
			t.Errorf("a start heard %q and measured %d", heard, delays())
		}
	}
	s.revoked("machine", s.machines.str("access_token"))
	before := s.fCases.cursor
	s.fCases.next()
	if n := delays(); n != 0 {
		t.Errorf("who asks now and then measured %d", n)
	}
	s.fCases.cursor = before
	if heard := s.fCases.wait(); len(heard) != 1 || delays() != 1 {
		t.Errorf("heard %q, measured %d", heard, delays())
	}
}

func TestFeed_AWaitingPollIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	s := newFeedScene(t)
	heardIn := func(what string, end func()) {
		t.Helper()
		done := make(chan time.Time, 1)
		go func() {
			defer func() { done <- time.Now() }()
			s.fCases.wait()
		}()
		time.Sleep(100 * time.Millisecond) // it waits now
		end()
		committed := time.Now()
		if took := (<-done).Sub(committed); took > time.Second {
			t.Errorf("%s: heard after %v", what, took)
		} else {
			t.Logf("%s: heard after %v", what, took)
		}
		if len(s.fCases.sets) == 0 {
			t.Errorf("%s: nothing was heard", what)
		}
		s.fCases.sets = nil
	}
	heardIn("committed by this process", func() { s.revoked("web", s.cases.str("access_token")) })
	heardIn("committed by a command", func() { s.command("user", "disable", ana, "--reason", "test") })
	began := time.Now()
	if got := s.fCases.wait(); len(got) != 0 || time.Since(began) < feed.Hold-100*time.Millisecond || time.Since(began) > feed.Hold+2*time.Second {
		t.Errorf("nothing happened: heard %q after %v", got, time.Since(began))
	}
}

// Who begins without a place hears what can still matter, in pieces if it likes.
func TestFeed_BeginsWithWhatCanStillMatter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revoke := func(n int) {
		for range n {
			w.revoked("machine", w.machine("machine", "scope", "cases.read").str("access_token"))
		}
	}
	revoke(2)
	w.clock.Advance(feed.Matters + time.Second)
	revoke(3)
	a := w.poll("cases", `{"maxEvents":2,"returnImmediately":true}`)
	if sets, _ := a.object["sets"].(map[string]any); len(sets) != 2 || a.object["moreAvailable"] != true {
		t.Fatalf("%d %s", a.status, a.body)
	}
	b := w.poll("cases", `{"after":"`+a.str("cursor")+`"}`) // waits for nothing: there is something
	if sets, _ := b.object["sets"].(map[string]any); len(sets) != 1 || b.object["moreAvailable"] != false {
		t.Errorf("%d %s", b.status, b.body)
	}
	// The same events again have the same names: a follower that was cut off can tell.
	first, _ := a.object["sets"].(map[string]any)
	c, _ := w.poll("cases", `{"maxEvents":2}`).object["sets"].(map[string]any)
	if !slices.Equal(slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(c))) {
		t.Errorf("%v, then %v", first, c)
	}
	if a := w.poll("cases", `{"maxEvents":0}`); a.status != http.StatusOK || a.body != `{"sets":{},"moreAvailable":false,"cursor":"`+a.str("cursor")+`","held":0}` {
		t.Errorf("none asked for: %d %s", a.status, a.body)
	}
}
