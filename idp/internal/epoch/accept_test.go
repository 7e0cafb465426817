package epoch_test

import (
	"context"
	"maps"
	"reflect"
	"testing"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/feed"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/witness"
)

// restored is a database that was set back to its first epoch, with no keys and nobody in it.
type restored struct {
	epoch.Store
	event    audit.Event
	lines    []string
	people   map[string]account.Status
	apis     []api.API
	updated  []api.API
	statuses map[string][2]account.Status // what they are brought to, and from where
}

func (*restored) Epoch(context.Context) (epoch.Epoch, error)              { return epoch.Epoch{N: 1}, nil }
func (*restored) Replacement(context.Context) (w []unit.Write, err error) { return w, nil }

func (r *restored) Commit(_ context.Context, u unit.Unit) error {
	r.event, _ = u.Event.(audit.Event)
	for _, w := range u.Writes {
		switch w := w.(type) {
		case feed.RaiseEpoch:
			r.lines = append(r.lines, w.Line)
		case api.Update:
			r.updated = append(r.updated, w.API)
		case account.SetStatus:
			r.statuses[w.Account] = [2]account.Status{w.From, w.Status}
		}
	}
	return nil
}

func (r *restored) APIs(context.Context) ([]api.API, error) { return r.apis, nil }

func (r *restored) Account(_ context.Context, id string) (account.Account, error) {
	if s, there := r.people[id]; there {
		return account.Account{ID: id, Status: s}, nil
	}
	return account.Account{}, account.ErrNotFound
}

func TestAccept_NeverGivesTheNumbersALifeThatFollowersKnow(t *testing.T) {
	t.Parallel()
	r := &restored{}
	for range 2 { // the same copy, restored twice
		if _, err := epoch.Accept(t.Context(), epoch.Deps{Store: r, Commit: r, Keys: r, Clock: clock.NewFake(time.Now())}, epoch.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.lines) != 2 || r.lines[0] == "" || r.lines[0] == r.lines[1] {
		t.Errorf("lines %q: who goes on from a place before the restore misses what came since", r.lines)
	}
}

// Neither what a restore locks nor what an operator disabled takes the other back.
func TestAccept_ALockAndADisablingStandBesideEachOther(t *testing.T) {
	t.Parallel()
	const active, disabled, locked, both = account.Active, account.Disabled, account.Locked, account.DisabledLocked
	people := map[string]account.Status{"active": active, "disabled": disabled, "locked": locked, "both": both, "closed": account.Closed}
	all := []string{"active", "disabled", "locked", "both", "closed", "gone"}
	for name, c := range map[string]struct {
		plan epoch.Replay
		lock bool
		want map[string][2]account.Status
	}{
		"locked":                   {epoch.Replay{Locked: all}, false, map[string][2]account.Status{"active": {active, locked}, "disabled": {disabled, both}}},
		"disabled":                 {epoch.Replay{Disabled: all}, false, map[string][2]account.Status{"active": {active, disabled}, "locked": {locked, both}}},
		"both":                     {epoch.Replay{Locked: all, Disabled: all}, false, map[string][2]account.Status{"active": {active, both}, "disabled": {disabled, both}, "locked": {locked, both}}},
		"locked, as everybody":     {epoch.Replay{Locked: all}, true, map[string][2]account.Status{}},
		"disabled, all are locked": {epoch.Replay{Disabled: all}, true, map[string][2]account.Status{"active": {locked, both}, "locked": {locked, both}}},
	} {
		r := &restored{people: people, statuses: map[string][2]account.Status{}}
		_, err := epoch.Accept(t.Context(), epoch.Deps{Store: r, Commit: r, Keys: r, Clock: clock.NewFake(time.Now())}, epoch.Request{Replay: c.plan, Lock: c.lock})
		if err != nil || !reflect.DeepEqual(r.statuses, c.want) {
			t.Errorf("%s: %v, want %v (%v)", name, r.statuses, c.want, err)
		}
	}
}

// What an API lost after the copy was made does not come back with it.
func TestAccept_AnAPIKeepsOnlyWhatItStillHad(t *testing.T) {
	t.Parallel()
	cases := api.API{ID: "cases", Audience: "https://api.example.org", SigningAlg: "ES256", ClientID: "server", Version: 7, Scopes: []api.Scope{{Name: "read"}, {Name: "write"}}}
	facts := func(change map[string]string) map[string]string {
		f := cases.Facts()
		maps.Copy(f, change)
		return f
	}
	with := func(server string, scopes ...string) []api.API {
		a := cases
		a.ClientID, a.Scopes = server, []api.Scope{}
		for _, s := range scopes {
			a.Scopes = append(a.Scopes, api.Scope{Name: s})
		}
		return []api.API{a}
	}
	for name, c := range map[string]struct {
		said []map[string]string // by each change; the clock goes backwards
		want []api.API
	}{
		"nothing":                             {nil, nil},
		"words alone":                         {[]map[string]string{facts(nil)}, nil},
		"a scope":                             {[]map[string]string{facts(map[string]string{"scopes": "read"})}, with("server", "read")},
		"a scope, for another":                {[]map[string]string{facts(map[string]string{"scopes": "write delete"})}, with("server", "write")},
		"a scope, and got it again":           {[]map[string]string{facts(map[string]string{"scopes": "read"}), facts(nil)}, with("server", "read")},
		"a scope, by a clock set back":        {[]map[string]string{facts(nil), facts(map[string]string{"scopes": "read"})}, with("server", "read")},
		"one scope, then the other":           {[]map[string]string{facts(map[string]string{"scopes": "read"}), facts(map[string]string{"scopes": "write"})}, with("server")},
		"its server, and got it again":        {[]map[string]string{facts(map[string]string{"server": ""}), facts(nil)}, with("", "read", "write")},
		"its audience, and got it again":      {[]map[string]string{facts(map[string]string{"audience": "https://api.example.net"}), facts(nil)}, with("server")},
		"its server":                          {[]map[string]string{facts(map[string]string{"server": ""})}, with("", "read", "write")},
		"its server, for another":             {[]map[string]string{facts(map[string]string{"server": "second"})}, with("", "read", "write")},
		"its audience":                        {[]map[string]string{facts(map[string]string{"audience": "https://api.example.net"})}, with("server")},
		"its algorithm":                       {[]map[string]string{facts(map[string]string{"signing_alg": "PS256"})}, with("server")},
		"something that an old record hides":  {[]map[string]string{{"api": "cases"}}, with("")},
		"everything, and is not there at all": {[]map[string]string{{"api": "other"}}, nil},
	} {
		var events []audit.Stored
		for i, d := range c.said {
			events = append(events, audit.Stored{At: time.Unix(int64(9-i), 0), Event: audit.Event{Type: "api.updated", Outcome: audit.Allowed, Detail: d}})
		}
		r := &restored{apis: []api.API{cases}}
		_, err := epoch.Accept(t.Context(), epoch.Deps{Store: r, Commit: r, Keys: r, Clock: clock.NewFake(time.Now())}, epoch.Request{Replay: epoch.Later(events)})
		if err != nil || !reflect.DeepEqual(r.updated, c.want) {
			t.Errorf("it lost %s: %+v, want %+v (%v)", name, r.updated, c.want, err)
		}
	}
}

// What an acceptance notes is what a restore of an older copy has to know of it.
func TestAcceptance_IsReadAsItWasNoted(t *testing.T) {
	t.Parallel()
	read := witness.Mark{Bytes: 7, Sum: chain.Hash{1}}
	for name, c := range map[string]struct {
		q    epoch.Request
		knew bool
	}{
		"all was known":  {epoch.Request{Read: read}, true},
		"some was not":   {epoch.Request{Read: read, Unknown: true}, false},
		"all are locked": {epoch.Request{Read: read, Unknown: true, Lock: true}, false},
	} {
		r := &restored{}
		now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
		c.q.Told, c.q.LostAt = now.Add(-time.Minute), now.Add(-time.Second)
		if _, err := epoch.Accept(t.Context(), epoch.Deps{Store: r, Commit: r, Keys: r, Clock: clock.NewFake(now)}, c.q); err != nil {
			t.Fatal(err)
		}
		e := audit.Stored{Writer: "cmd_1", Seq: 3, At: now, Event: r.event}
		if e.Detail["known_until"] != "2026-11-02T08:59:00Z" || e.Detail["lost_at"] != "2026-11-02T08:59:59Z" {
			t.Errorf("%s: %v", name, e.Detail)
		}
		want := witness.Acceptance{Writer: "cmd_1", Seq: 3, Epoch: 2, At: now, Knew: c.knew, Read: read}
		if got := epoch.Acceptance(e); got == nil || *got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		e.Outcome = audit.Refused
		if got := epoch.Acceptance(e); got != nil {
			t.Errorf("one that was refused: %+v", got)
		}
	}
}
