package main

import (
	"testing"

	"ellis.example/deploy/internal/agent"
)

func TestOracle_FindsNothingWhereNothingIsWrong(t *testing.T) {
	t.Parallel()
	o := story()
	if out := o.judge(); len(out) > 0 {
		t.Error(out)
	}
}

func TestOracle_LetsAnAPIThatCannotHearBelieveForItsPatience(t *testing.T) {
	t.Parallel()
	o := story()
	r := o.records[4]
	r.N, r.Began, r.Request = 9, o.records[5].Ended.Add(patience), "q9"
	o.kept.disclosures = append(o.kept.disclosures, disclosure{"case.read", "allowed", "case-ana", "j2", "q9"})
	o.records, o.deaf = append(o.records, r), []span{{o.records[5].Ended, o.now}}
	if out := o.judge(); len(out) > 0 {
		t.Error(out)
	}
}

// Each rule is broken in each way that it knows: an oracle that overlooks one is no oracle.
func TestOracle_FindsEachBreach(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule  string
		spoil func(*oracle)
	}{
		"first access token lost": {"L1", func(o *oracle) { delete(o.kept.access, "j1") }},
		"first refresh token":     {"L1", func(o *oracle) { delete(o.kept.refresh, hashOf("r8")) }},
		"access token lost":       {"L1", func(o *oracle) { delete(o.kept.access, "j2") }},
		"refresh token lost":      {"L1", func(o *oracle) { delete(o.kept.refresh, hashOf("r2")) }},
		"rotation lost":           {"L1", func(o *oracle) { o.kept.refresh[hashOf("r1")] = keptRefresh{family: "f"} }},
		"revocation lost":         {"L1", func(o *oracle) { o.kept.families["f"] = keptFamily{grant: "g"} }},
		"grant stands":            {"L1", func(o *oracle) { o.kept.grants["g"] = keptGrant{} }},
		"event missing":           {"L2", func(o *oracle) { o.kept.events = o.kept.events[1:] }},
		"event doubled":           {"L2", func(o *oracle) { o.kept.events = append(o.kept.events, o.kept.events[2]) }},
		"refused in the audit":    {"L2", func(o *oracle) { o.kept.events[2].Outcome = "refused" }},
		"renewal not recorded":    {"L2", func(o *oracle) { o.kept.events[1].Type = "x" }},
		"assertion not recorded":  {"L2", func(o *oracle) { o.issued("m2").Type = "x" }},
		"revocation not recorded": {"L2", func(o *oracle) { o.kept.events[3].Type = "x" }},
		"code used twice": {"L3", func(o *oracle) {
			r := o.records[1]
			r.N = 9
			o.records = append(o.records, r)
		}},
		"two successors": {"L3", func(o *oracle) {
			r := o.records[2]
			r.N, r.Refresh = 9, "r3"
			o.records = append(o.records, r)
		}},
		"two leaves":    {"L4", func(o *oracle) { o.kept.refresh[hashOf("r3")] = keptRefresh{family: "f"} }},
		"fork":          {"L4", func(o *oracle) { o.kept.refresh["x"] = keptRefresh{family: "f", child: hashOf("r2"), used: true} }},
		"foreign child": {"L4", func(o *oracle) { o.kept.refresh[hashOf("r2")] = keptRefresh{family: "other"} }},
		"back from the dead": {"L5", func(o *oracle) {
			o.records[6].Status, o.records[6].Refresh, o.records[6].JTI, o.records[6].Subject = 200, "r3", "j2", "sub-ana"
		}},
		"opens a case when dead": {"L5", func(o *oracle) {
			r := o.records[4]
			r.N, r.Began, r.Ended = 9, o.now, o.now
			o.records = append(o.records, r)
		}},
		"opens a case too late after it heard again":    {"L5", func(o *oracle) { o.late(span{at(0), at(5)}) }},
		"opens a case too late before it heard no more": {"L5", func(o *oracle) { o.late(span{at(8), at(40)}) }},
		"opens a case although nobody was asked": {"L5", func(o *oracle) {
			o.deaf = []span{{o.records[5].Ended, o.now}}
			r := o.records[4]
			r.N, r.Began, r.Ended = 9, o.records[5].Ended.Add(patience+2*reach), o.now
			o.records = append(o.records, r)
		}},
		"somebody else's token": {"L6", func(o *oracle) { o.records[2].Subject = "sub-sam" }},
		"somebody else's case":  {"L6", func(o *oracle) { o.records[4].Subject = "case-sam" }},
		"stack trace": {"L8", func(o *oracle) {
			o.records[7].Wrong = misbehaved(agent.Answer{Status: 500, Body: []byte("goroutine 1")})
		}},
		"no time to come back": {"L8", func(o *oracle) { o.records[7].Wrong = misbehaved(agent.Answer{Status: 503}) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := story()
			c.spoil(&o)
			for _, b := range o.judge() {
				if b.rule == c.rule {
					return
				}
			}
			t.Errorf("not found: %v", o.out)
		})
	}
}

func TestMisbehaved_LetsOrderlyAnswersBe(t *testing.T) {
	t.Parallel()
	for _, a := range []agent.Answer{
		{Status: 200, Body: []byte(`{"access_token":"x"}`)}, {Status: 400, Body: []byte(`{"error":"invalid_grant"}`)},
		{Status: 503, Header: map[string][]string{"Retry-After": {"2"}}, Body: []byte(`{"error":"temporarily_unavailable"}`)},
	} {
		if wrong := misbehaved(a); wrong != "" {
			t.Errorf("%d: %s", a.Status, wrong)
		}
	}
}
