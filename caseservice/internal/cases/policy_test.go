package cases_test

import (
	"testing"
	"time"

	"ellis.example/caseservice/internal/cases"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func person(scopes ...string) *cases.Caller {
	return &cases.Caller{Sub: "p1", ClientID: "app", ACR: cases.ACR2, AuthTime: now.Add(-time.Minute), Scopes: scopes}
}

func machine(scopes ...string) *cases.Caller {
	return &cases.Caller{Sub: "batch", ClientID: "batch", Scopes: scopes}
}

func TestCan(t *testing.T) {
	t.Parallel()
	with := func(c *cases.Caller, change func(*cases.Caller)) *cases.Caller { change(c); return c }
	mine := cases.Target{Exists: true, Relationship: cases.Owner}
	foreign := cases.Target{Exists: true}
	none := cases.Target{}
	all := []string{cases.ScopeRead, cases.ScopeClaim, cases.ScopeStats}
	table := []struct {
		name   string
		caller *cases.Caller
		act    cases.Act
		target cases.Target
		want   cases.Missing
	}{
		{"owner reads", person(cases.ScopeRead), cases.ActRead, mine, cases.Nothing},
		{"owner reads at aal1", with(person(cases.ScopeRead), func(c *cases.Caller) { c.ACR = cases.ACR1 }), cases.ActRead, mine, cases.Nothing},
		{"stranger reads", person(all...), cases.ActRead, foreign, cases.MissingRelation},
		{"reads no case", person(all...), cases.ActRead, none, cases.MissingCase},
		{"owner without scope", person(cases.ScopeClaim, cases.ScopeStats), cases.ActRead, mine, cases.MissingScope},
		{"scope by prefix", person("cases"), cases.ActRead, mine, cases.MissingScope},
		{"scope by wildcard", person("cases:*", "*"), cases.ActRead, mine, cases.MissingScope},
		{"scope with more", person("cases:read:all"), cases.ActRead, mine, cases.MissingScope},
		{"owner reads events", person(cases.ScopeRead), cases.ActEvents, mine, cases.Nothing},
		{"stranger reads events", person(cases.ScopeRead), cases.ActEvents, foreign, cases.MissingRelation},
		{"machine reads", machine(all...), cases.ActRead, mine, cases.MissingPerson},
		{"machine lists", machine(all...), cases.ActList, none, cases.MissingPerson},
		{"machine claims", machine(all...), cases.ActClaim, none, cases.MissingPerson},
		{"person lists", person(cases.ScopeRead), cases.ActList, none, cases.Nothing},
		{"machine counts", machine(cases.ScopeStats), cases.ActStats, none, cases.Nothing},
		{"machine counts without scope", machine(cases.ScopeRead), cases.ActStats, none, cases.MissingScope},
		{"person counts", person(all...), cases.ActStats, none, cases.MissingMachine},
		{"person claims", person(cases.ScopeClaim), cases.ActClaim, none, cases.Nothing},
		{"person claims without scope", person(cases.ScopeRead), cases.ActClaim, none, cases.MissingScope},
		{"claims at aal1", with(person(all...), func(c *cases.Caller) { c.ACR = cases.ACR1 }), cases.ActClaim, none, cases.MissingAssurance},
		{"claims without acr", with(person(all...), func(c *cases.Caller) { c.ACR = "" }), cases.ActClaim, none, cases.MissingAssurance},
		{"claims at the last second", with(person(all...), func(c *cases.Caller) { c.AuthTime = now.Add(-300 * time.Second) }), cases.ActClaim, none, cases.Nothing},
		{"claims a second late", with(person(all...), func(c *cases.Caller) { c.AuthTime = now.Add(-301 * time.Second) }), cases.ActClaim, none, cases.MissingAssurance},
		{"claims without auth_time", with(person(all...), func(c *cases.Caller) { c.AuthTime = time.Time{} }), cases.ActClaim, none, cases.MissingAssurance},
		{"claims with auth_time ahead", with(person(all...), func(c *cases.Caller) { c.AuthTime = now.Add(time.Minute) }), cases.ActClaim, none, cases.MissingAssurance},
		{"claims with a clock 5 s ahead", with(person(all...), func(c *cases.Caller) { c.AuthTime = now.Add(5 * time.Second) }), cases.ActClaim, none, cases.Nothing},
		{"claims own case", person(cases.ScopeClaim), cases.ActClaim, mine, cases.MissingState},
		{"claims another's case: decided by the code", person(cases.ScopeClaim), cases.ActClaim, foreign, cases.Nothing},
		{"unknown act", person(all...), "case.shred", mine, cases.MissingScope},
	}
	for _, c := range table {
		if got := cases.Can(now, c.caller, c.act, c.target); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
