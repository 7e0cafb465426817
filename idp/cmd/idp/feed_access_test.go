package main

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/unit"
)

func TestFeed_RefusesEverybodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secrets = maps.Clone(w.secrets)
	w.secrets["nobody"] = "ecs_x"
	refused := func(what string, a answer, status int, code string) {
		t.Helper()
		if a.status != status || a.str("err") != code || a.object["sets"] != nil || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s, want %d %s", what, a.status, a.body, status, code)
		}
	}
	for _, c := range []string{"", "nobody"} {
		refused("client "+c, w.poll(c, `{}`), http.StatusUnauthorized, "authentication_failed")
	}
	events := w.during(func() {
		for _, c := range []string{"web", "machine"} {
			refused("client "+c, w.poll(c, `{}`), http.StatusForbidden, "access_denied")
		}
		for what, body := range map[string]string{
			"nothing": ``, "no object": `[]`, "two": `{}{}`, "text": `{"maxEvents":"2"}`, "below zero": `{"maxEvents":-1}`, "acks": `{"ack":"x"}`, "an empty ack": `{"ack":[""]}`,
			"an error without a name": `{"setErrs":{"x":{"description":"y"}}}`, "a place": `{"after":"x"}`, "another's place": `{"after":"` + w.poll("letters", `{"returnImmediately":true}`).str("cursor") + `"}`,
		} {
			refused(what, w.poll("cases", body), http.StatusBadRequest, "invalid_request")
		}
		refused("a form", w.as("cases", "/events/poll", url.Values{"maxEvents": {"1"}}), http.StatusBadRequest, "invalid_request")
	})
	// Two clients that are none of an API's, what is no poll, and a place that is none: how often, is counted.
	if len(events) != 4 || slices.ContainsFunc(events, func(e audit.Stored) bool {
		return e.Type != "feed.refused" || e.Outcome != audit.Refused || e.Reason == "" || e.Client == ""
	}) {
		t.Errorf("recorded: %+v", events)
	}
	refused("GET", w.do(http.MethodGet, "/events/poll", nil, "Authorization", w.basic("cases")), http.StatusMethodNotAllowed, "invalid_request")
	refused("a large one", w.poll("cases", `{"after":"`+strings.Repeat("x", 70<<10)+`"}`), http.StatusRequestEntityTooLarge, "invalid_request")
	events = w.during(func() {
		for range 3 {
			if a := w.poll("cases", `{"returnImmediately":true,"ack":["x"],"setErrs":{"y":{"err":"jws","description":"z"}},"other":1}`); a.status != http.StatusOK {
				t.Errorf("a good poll: %d %s", a.status, a.body)
			}
		}
	})
	if len(events) != 0 {
		t.Errorf("a good poll is recorded: %+v", events)
	}
	w.register(`apis: [{id: cases, audience: "https://cases.example", name: {en: Case status, es: Estado}, scopes: []}]`)
	refused("a client that the API has no more", w.poll("cases", `{}`), http.StatusForbidden, "access_denied")
}

// A server that opens poll after poll is refused beyond its share, and leaves no record for each.
func TestFeed_ACrowdOfPollsLeavesOneRecordAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var crowded atomic.Int64
	events := w.during(func() {
		peopleRace(64, func(int) { // of which 32 may wait
			switch a := w.poll("cases", `{}`); {
			case a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") == "1":
				crowded.Add(1)
			case a.status != http.StatusOK:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	})
	if n := crowded.Load(); n < 2 || len(events) != 1 || events[0].Type != "feed.refused" || events[0].Reason != "feed_crowded" || events[0].Client != "cases" {
		t.Errorf("%d records of %d refusals: %+v", len(events), n, events)
	}
	w.clock.Advance(time.Minute)
	events = w.during(func() { w.must(w.p.strange.Flush(t.Context())) })
	if len(events) != 1 || events[0].Client != "cases" || events[0].Detail["count"] != fmt.Sprint(crowded.Load()-1) {
		t.Errorf("a minute later: %+v", events)
	}
}

// gauge reads a metric that has one series.
func (w *world) gauge(name string) float64 {
	w.Helper()
	all, err := w.p.metrics.Gather()
	w.must(err)
	for _, m := range all {
		if m.GetName() == name {
			return m.GetMetric()[0].GetGauge().GetValue()
		}
	}
	w.Fatalf("there is no %s", name)
	return 0
}

// Whoever polls with a wrong secret keeps no place while the database takes its time: there are few, and APIs need them.
func TestFeed_AStrangersPollTakesNoPlaceForAsLongAsTheDatabaseTakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held, err := w.database().Conn(t.Context())
	w.must(err)
	defer func() { _ = held.Close() }()
	_, err = held.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	w.must(err)
	answered := make(chan answer, 1)
	go func() {
		answered <- w.do(http.MethodPost, "/events/poll", nil, "Content-Type", "application/json", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("cases:wrong")))
	}()
	without := 0
	for began := time.Now(); time.Since(began) < time.Second || without < 20 && time.Since(began) < 4*time.Second; time.Sleep(10 * time.Millisecond) {
		if w.gauge("idp_http_requests_in_flight") == 0 {
			without++
		} else {
			without = 0
		}
	}
	_, err = held.ExecContext(t.Context(), "ROLLBACK")
	w.must(err)
	if a := <-answered; a.status != http.StatusUnauthorized || without < 20 {
		t.Errorf("%d %s; without a place at the end: %d times", a.status, a.body, without)
	}
}

// A poll that waits holds none of the few places in which requests are looked at.
func TestFeed_AKnownPollThatWaitsTakesNoPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answered := make(chan answer, 1)
	go func() { answered <- w.poll("cases", `{}`) }()
	waited := 0
	for len(answered) == 0 { // a poll waits for two seconds
		if w.gauge("idp_feed_waiting") == 1 && w.gauge("idp_http_requests_in_flight") == 0 && w.gauge("idp_feed_waiting") == 1 {
			waited++
		}
		time.Sleep(10 * time.Millisecond)
	}
	if a := <-answered; waited < 2 || a.status != http.StatusOK {
		t.Errorf("waited without a place: %d times; %d %s", waited, a.status, a.body)
	}
}

// Polls that wait are no more than for a quarter of the connections, which they keep.
func TestFeed_PollsThatWaitLeaveConnectionsToOthers(t *testing.T) {
	t.Parallel()
	for connections, want := range map[int]int{0: 256, 16: 4, 100: 25, 1024: 256, 1 << 20: 256} {
		if got := maxPolls(connections); got != want {
			t.Errorf("%d of %d connections wait, want %d", got, connections, want)
		}
	}
}

// Only the client that an API is registered with may ask about its tokens, whatever its name is.
func TestAttack_B21_OnlyTheAPIsOwnClientIntrospectsItsTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.machine("machine", "scope", "cases.read").str("access_token")
	for client, want := range map[string]bool{"cases": true, "machine": true, "letters": false, "web": false} {
		if got := w.active(client, token); got != want {
			t.Errorf("%s is told %v", client, got)
		}
	}
	w.register(`
apis: [{id: cases, client_id: desk, audience: "https://cases.example", name: {en: Case status, es: Estado}, scopes: [{name: cases.read, en: See, es: Ver}]}]
clients: [{client_id: desk, client_name: Desk, grant_types: [client_credentials]}]`)
	if w.active("cases", token) || !w.active("desk", token) {
		t.Error("the name of the API is enough, or its client is not")
	}
}

// Failures of others in the same network do not keep an API from following.
func TestFeed_NoNetworksShareHoldsAFollowerBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crowded()
	if a := w.poll("cases", `{"returnImmediately":true}`); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRegistration_AnAPIsClientIsOneThatCanAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for doc, want := range map[string]string{
		`{id: new, client_id: missing, audience: "https://n.example", name: {en: N, es: N}}`: `client_id: no client "missing"`,
		`{id: new, client_id: spa, audience: "https://n.example", name: {en: N, es: N}}`:     "client_secret_basic",
		`{id: new, client_id: cases, audience: "https://n.example", name: {en: N, es: N}}`:   "it is that of API cases",
	} {
		if _, err := w.admin().Apply(t.Context(), []byte("apis: ["+doc+"]"), "operator:test"); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: %v", doc, err)
		}
	}
	w.command("api", "update", "cases", "--client", "machine", "--kek-file", kekFile(t, testKEK))
	w.command("api", "create", "--id", "maps", "--audience", "https://maps.example", "--name", "en=Maps", "--name", "es=Mapas", "--scope", "maps.read;en=See maps;es=Ver mapas", "--client", "cases", "--kek-file", kekFile(t, testKEK))
	w.later()
	if a := w.poll("machine", `{"returnImmediately":true}`); a.status != http.StatusOK {
		t.Errorf("the new client of cases: %d %s", a.status, a.body)
	}
	if a := w.poll("cases", `{"returnImmediately":true}`); a.status != http.StatusOK {
		t.Errorf("the client of maps: %d %s", a.status, a.body)
	}
	list, err := w.admin().ListAPIs(t.Context())
	if i := slices.IndexFunc(list, func(a api.API) bool { return a.ID == "maps" }); err != nil || i < 0 || len(list[i].Scopes) != 1 || list[i].Scopes[0].Words["es"] != "Ver mapas" || list[i].SigningAlg != "ES256" {
		t.Errorf("%+v, %v", list, err)
	}
}

// All revocations of many at once are heard, by whoever follows.
func TestFeed_HearsAllOfManyAtOnce(t *testing.T) {
	t.Parallel()
	s := newFeedScene(t)
	const many = 64
	heard := make(chan map[string]bool, 2)
	for range 2 {
		f := &follower{w: s.world, api: "cases", audience: casesAPI, cursor: s.fCases.cursor}
		go func() {
			all := map[string]bool{}
			defer func() { heard <- all }()
			for end := time.Now().Add(20 * time.Second); len(all) < many && time.Now().Before(end); {
				for _, e := range f.wait() {
					all[e] = true
				}
			}
		}()
	}
	peopleRace(many, func(i int) {
		err := s.p.store.Commit(t.Context(), unit.Unit{Writes: []unit.Write{grant.RevokeToken{JTI: fmt.Sprint("j", i), API: "cases", At: s.clock.Now(), Until: s.clock.Now().Add(time.Hour)}}, Event: audit.Event{Type: "token.revoked"}})
		if err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		if all := <-heard; len(all) != many {
			t.Errorf("%d of %d were heard", len(all), many)
		}
	}
}
