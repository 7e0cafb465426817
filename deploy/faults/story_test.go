package main

import (
	"fmt"
	"time"
)

func at(s int) time.Time { return time.Unix(1_800_000_000+int64(s), 0) }

// story is a ledger and a database in which nothing is wrong: a code became a family that was renewed once and then revoked; and
// somebody signed up, whose password others guessed at.
func story() oracle {
	o := oracle{
		records: []record{
			{N: 1, Op: opAuthorize, Who: "ana", Began: at(0), Ended: at(1), Status: 303, Code: "c", Request: "q1"},
			{N: 2, Op: opRedeem, Who: "ana", Began: at(1), Ended: at(2), Status: 200, Code: "c", Refresh: "r1", JTI: "j1", Subject: "sub-ana"},
			{N: 3, Op: opRefresh, Who: "ana", Began: at(2), Ended: at(3), Status: 200, Shown: "r1", Refresh: "r2", JTI: "j2", Subject: "sub-ana"},
			{N: 4, Op: opMachine, Began: at(2), Ended: at(3), Status: 200, JTI: "m1"},
			{N: 5, Op: opCase, Who: "ana", Began: at(3), Ended: at(4), Status: 200, JTI: "j2", Subject: "case-ana", Request: "q5"},
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
			grants:   map[string]keptGrant{"g": {session: "s", account: "a-ana", revoked: true}},
			access:   map[string]string{"j1": "g", "j2": "g"},
			events: []keptEvent{
				{Type: "token.issued", Outcome: "allowed", JTI: "j1", Grant: "g"}, {Type: "token.refreshed", Outcome: "allowed", JTI: "j2", Grant: "g"},
				{Type: "token.issued", Outcome: "allowed", JTI: "m1"}, {Type: "token.revoked", Outcome: "allowed", Family: "f"},
				{Type: "code.issued", Outcome: "allowed", Request: "q1"},
			},
			disclosures: []disclosure{{"case.read", "allowed", "case-ana", "j2", "q5"}},
		},
		subjects: map[string]string{"ana": "sub-ana"}, owners: map[string]string{"ana": "case-ana"}, now: at(40),
	}
	o.arrival()
	return o
}

// arrival adds how bo signed up, let the app in, changed the password and signed out, first of one session and then of all.
func (o *oracle) arrival() {
	o.records = append(o.records, []record{
		{N: 10, Op: opSignUp, Who: "bo", Began: at(10), Ended: at(10), Status: 303, Request: "q10"},
		{N: 11, Op: opMail, Who: "bo", Began: at(10), Ended: at(10), Status: 200, Link: "l"},
		{N: 12, Op: opProve, Who: "bo", Began: at(11), Ended: at(11), Status: 303, Link: "l", Request: "q12"},
		{N: 13, Op: opRegister, Who: "bo", Began: at(11), Ended: at(12), Status: 303, Link: "l", Fresh: "p1", Next: "s1", Request: "q13"},
		{N: 14, Op: opConsent, Who: "bo", Began: at(12), Ended: at(12), Status: 303, Session: "s1", Request: "q14"},
		{N: 15, Op: opAuthorize, Who: "bo", Began: at(12), Ended: at(13), Status: 303, Session: "s1", Code: "c2", Request: "q15"},
		{N: 16, Op: opRedeem, Who: "bo", Began: at(13), Ended: at(14), Status: 200, Code: "c2", Refresh: "r8", JTI: "j8", Subject: "sub-bo"},
		{N: 17, Op: opSignIn, Who: "bo", Began: at(14), Ended: at(15), Status: 303, Secret: "p1", Next: "s2", Request: "q17"},
		{N: 18, Op: opPassword, Who: "bo", Began: at(16), Ended: at(17), Status: 303, Secret: "p1", Fresh: "p2", Session: "s1", Next: "s3", Request: "q18"},
		{N: 19, Op: opSignIn, Who: "bo", Began: at(18), Ended: at(18), Status: 422, Secret: "p1", Request: "q19"},
		{N: 20, Op: opSignOut, Who: "bo", Began: at(19), Ended: at(20), Status: 200, Session: "s3", Request: "q20"},
		{N: 21, Op: opAuthorize, Who: "bo", Began: at(21), Ended: at(21), Status: 303, Session: "s3", Err: "login_required", Request: "q21"},
		{N: 22, Op: opSignIn, Who: "bo", Began: at(22), Ended: at(23), Status: 303, Secret: "p2", Next: "s4", Request: "q22"},
		{N: 23, Op: opLeave, Who: "bo", Began: at(24), Ended: at(25), Status: 303, Session: "s4", Request: "q23"},
		{N: 24, Op: opAssert, Began: at(25), Ended: at(26), Status: 200, Once: "once", JTI: "m2"},
		{N: 25, Op: opAssert, Began: at(25), Ended: at(26), Status: 401, Once: "once"},
		{N: 28, Op: opFactor, Who: "bo", Began: at(26), Ended: at(27), Status: 303, Once: "7", Next: "s7", Request: "q28"},
		{N: 29, Op: opFactor, Who: "bo", Began: at(26), Ended: at(27), Status: 422, Once: "7", Request: "q29"},
		{N: 26, Op: opGuess, Who: "bo", Began: at(30), Ended: at(31), Status: 422, Request: "q26"},
		{N: 27, Op: opGuess, Who: "bo", Began: at(30), Ended: at(31), Status: 429, Request: "q27"},
	}...)
	k := &o.kept
	k.refresh[hashOf("r8")] = keptRefresh{family: "f8"}
	k.families["f8"], k.access["j8"] = keptFamily{grant: "g8"}, "g8"
	k.grants["g8"] = keptGrant{session: "ses", account: "a-bo", revoked: true}
	k.sessions = map[string]keptSession{"s3": {"ses", "a-bo", true}, "s2": {"ses2", "a-bo", true}, "s4": {"ses4", "a-bo", true}, "s7": {"ses7", "a-bo", false}}
	k.steps = map[string]int64{"a-bo": 7}
	k.accounts = map[string]keptAccount{"bo": {"a-bo", "active", at(16)}}
	k.links, k.mailed, k.waiting = map[string]bool{"l": true}, map[string]bool{"bo": true}, map[string]bool{}
	k.consents, k.failures = map[string]bool{"a-bo test-app": true}, []int64{1, 1}
	for kind, requests := range map[string][]string{
		"signup.requested": {"q10"}, "signup.address_proven": {"q12"}, "account.created": {"q13"}, "consent.given": {"q14"},
		"code.issued": {"q15"}, "signin.password": {"q17", "q22"}, "password.changed": {"q18"}, "signin.factor": {"q28"},
	} {
		for _, q := range requests {
			k.events = append(k.events, keptEvent{Type: kind, Outcome: "allowed", Account: "a-bo", Request: q})
		}
	}
	k.events = append(k.events,
		keptEvent{Type: "session.ended", Outcome: "allowed", Account: "a-bo", Session: "ses", Request: "q20"},
		keptEvent{Type: "session.ended", Outcome: "allowed", Account: "a-bo", Request: "q23", Detail: map[string]string{"all": "yes"}},
		keptEvent{Type: "token.issued", Outcome: "allowed", JTI: "j8", Grant: "g8"}, keptEvent{Type: "token.issued", Outcome: "allowed", JTI: "m2"},
		keptEvent{Type: "signin.password", Outcome: "refused", Reason: "wrong_password", Account: "a-bo", Request: "q26", At: at(31)},
	)
}

// number finds a record of a story.
func (o *oracle) number(n int) *record {
	for i := range o.records {
		if o.records[i].N == n {
			return &o.records[i]
		}
	}
	panic(n)
}

// again adds a record once more, changed, at the end of the story.
func (o *oracle) again(n int, change func(*record)) {
	r := *o.number(n)
	r.N, r.Began, r.Ended, r.Request = 99, at(38), at(39), "q99"
	change(&r)
	if kind := tells[r.Op]; kind != "" && r.answered() {
		o.kept.events = append(o.kept.events, keptEvent{Type: kind, Outcome: "allowed", Request: r.Request, Detail: map[string]string{"all": "yes"}})
	}
	o.records = append(o.records, r)
}

// event finds the event of a request.
func (o *oracle) event(request string) *keptEvent {
	for i := range o.kept.events {
		if o.kept.events[i].Request == request {
			return &o.kept.events[i]
		}
	}
	panic(request)
}

// guessed adds so many guesses that were sent and verified at one time.
func (o *oracle) guessed(n, when int) {
	for range n {
		q := fmt.Sprint("g", len(o.records))
		o.records = append(o.records, record{N: 100 + len(o.records), Op: opGuess, Who: "bo", Began: at(when), Ended: at(when), Status: 422, Request: q})
		o.kept.events = append(o.kept.events, keptEvent{Type: "signin.password", Outcome: "refused", Reason: "wrong_password", Account: "a-bo", Request: q, At: at(when)})
	}
	o.kept.failures = append(o.kept.failures, int64(n)+1)
}

// issued finds the event of a token.
func (o *oracle) issued(jti string) *keptEvent {
	for i := range o.kept.events {
		if o.kept.events[i].JTI == jti {
			return &o.kept.events[i]
		}
	}
	panic(jti)
}

// late lets an API believe for two seconds what was revoked, near a time in which it could not hear.
func (o *oracle) late(deaf span) {
	o.again(5, func(r *record) { r.Began, r.Ended = at(7), at(7) })
	o.deaf = []span{deaf}
}

// unheard puts first that a record was asked for once more, with another session and without an answer, and that the sign-out
// after it has no event.
func (o *oracle) unheard(n int, when time.Time) {
	o.again(n, func(r *record) { r.Status, r.Session, r.Began, r.Ended = 0, "s6", when, when })
	last := len(o.records) - 1
	o.records = append([]record{o.records[last]}, o.records[:last]...)
	o.event("q20").Type = "x"
}

// leak lets keys be discarded, and a token of before open a case at a time. What ana revoked then is not revoked here.
func (o *oracle) leak(from, to, when int) {
	o.number(6).Status = 503
	o.leaked = []span{{at(from), at(to)}}
	o.again(5, func(r *record) { r.Began, r.Ended, r.Request = at(when), at(when), "q5" })
}
