package main

import (
	"testing"
	"time"
)

// story is a ledger and a database in which nothing is wrong: a code became a family that was renewed once and then revoked.
func story() oracle {
	at := func(s int) time.Time { return time.Unix(1_800_000_000+int64(s), 0) }
	return oracle{
		records: []record{
			{N: 1, Op: opAuthorize, Who: "ana", Began: at(0), Ended: at(1), Status: 303, Code: "c"},
			{N: 2, Op: opRedeem, Who: "ana", Began: at(1), Ended: at(2), Status: 200, Code: "c", Refresh: "r1", JTI: "j1", Subject: "sub-ana"},
			{N: 3, Op: opRefresh, Who: "ana", Began: at(2), Ended: at(3), Status: 200, Shown: "r1", Refresh: "r2", JTI: "j2", Subject: "sub-ana"},
			{N: 4, Op: opMachine, Began: at(2), Ended: at(3), Status: 200, JTI: "m1"},
			{N: 5, Op: opCase, Who: "ana", Began: at(3), Ended: at(4), Status: 200, JTI: "j2", Subject: "case-ana"},
			{N: 6, Op: opRevoke, Who: "ana", Began: at(4), Ended: at(5), Status: 200, Shown: "r2"},
			{N: 7, Op: opRefresh, Who: "ana", Began: at(6), Ended: at(7), Status: 400, Shown: "r2"},
			{N: 8, Op: opMachine, Began: at(6), Ended: at(7), Status: 503},
		},
		kept: kept{
			refresh: map[string]keptRefresh{
				hashOf("r1"): {family: "f", child: hashOf("r2"), used: true},
				hashOf("r2"): {family: "f"},
			},
			families: map[string]keptFamily{"f": {grant: "g", revoked: true}},
			grants:   map[string]keptGrant{"g": {revoked: true}},
			access:   map[string]string{"j1": "g", "j2": "g"},
			events: []keptEvent{
				{Type: "token.issued", Outcome: "allowed", JTI: "j1"}, {Type: "token.refreshed", Outcome: "allowed", JTI: "j2"},
				{Type: "token.issued", Outcome: "allowed", JTI: "m1"}, {Type: "token.revoked", Outcome: "allowed", Family: "f"},
			},
		},
		subjects: map[string]string{"ana": "sub-ana"}, owners: map[string]string{"ana": "case-ana"}, now: at(8),
	}
}

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
	r.N, r.Began = 9, o.records[5].Ended.Add(patience)
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
		"access token lost":       {"L1", func(o *oracle) { delete(o.kept.access, "j2") }},
		"refresh token lost":      {"L1", func(o *oracle) { delete(o.kept.refresh, hashOf("r2")) }},
		"rotation lost":           {"L1", func(o *oracle) { o.kept.refresh[hashOf("r1")] = keptRefresh{family: "f"} }},
		"revocation lost":         {"L1", func(o *oracle) { o.kept.families["f"] = keptFamily{grant: "g"} }},
		"grant stands":            {"L1", func(o *oracle) { o.kept.grants["g"] = keptGrant{} }},
		"event missing":           {"L2", func(o *oracle) { o.kept.events = o.kept.events[1:] }},
		"event doubled":           {"L2", func(o *oracle) { o.kept.events = append(o.kept.events, o.kept.events[2]) }},
		"refused in the audit":    {"L2", func(o *oracle) { o.kept.events[2].Outcome = "refused" }},
		"revocation not recorded": {"L2", func(o *oracle) { o.kept.events = o.kept.events[:3] }},
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
		"opens a case although nobody was asked": {"L5", func(o *oracle) {
			o.deaf = []span{{o.records[5].Ended, o.now}}
			r := o.records[4]
			r.N, r.Began, r.Ended = 9, o.records[5].Ended.Add(patience+2*reach), o.now
			o.records = append(o.records, r)
		}},
		"somebody else's token": {"L6", func(o *oracle) { o.records[2].Subject = "sub-sam" }},
		"somebody else's case":  {"L6", func(o *oracle) { o.records[4].Subject = "case-sam" }},
		"stack trace":           {"L8", func(o *oracle) { o.records[7].Wrong = misbehaved(answer{status: 500, body: []byte("goroutine 1")}) }},
		"no time to come back":  {"L8", func(o *oracle) { o.records[7].Wrong = misbehaved(answer{status: 503}) }},
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
	for _, a := range []answer{
		{status: 200, body: []byte(`{"access_token":"x"}`)}, {status: 400, body: []byte(`{"error":"invalid_grant"}`)},
		{status: 503, header: map[string][]string{"Retry-After": {"2"}}, body: []byte(`{"error":"temporarily_unavailable"}`)},
	} {
		if wrong := misbehaved(a); wrong != "" {
			t.Errorf("%d: %s", a.status, wrong)
		}
	}
}
