package main

import (
	"strings"
	"testing"
	"time"
)

// spoiled is a story with a breach of a rule, and what is to be said of it.
type spoiled struct {
	rule, says string
	spoil      func(*oracle)
}

func findsEach(t *testing.T, all map[string]spoiled) {
	t.Helper()
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := story()
			c.spoil(&o)
			for _, b := range o.judge() {
				if b.rule == c.rule && strings.Contains(b.what, c.says) {
					return
				}
			}
			t.Errorf("not found: %v", o.out)
		})
	}
}

// Each rule about people is broken in each way that it knows, and says so in its own words.
func TestOracle_FindsWhatPeopleWereToldAndIsNotSo(t *testing.T) {
	t.Parallel()
	findsEach(t, map[string]spoiled{
		"session lost":             {"L1", "its session is not kept", func(o *oracle) { delete(o.kept.sessions, "s4") }},
		"time step lost":           {"L1", "its time step is not kept", func(o *oracle) { o.kept.steps["a-bo"] = 6 }},
		"session of two lost":      {"L1", "second factor was answered, and its session", func(o *oracle) { delete(o.kept.sessions, "s7") }},
		"sign-out lost":            {"L1", "not kept as ended", func(o *oracle) { o.kept.sessions["s3"] = keptSession{id: "ses", account: "a-bo"} }},
		"sign-out leaves a grant":  {"L1", "grant g8 stands", func(o *oracle) { o.kept.grants["g8"] = keptGrant{session: "ses", account: "a-bo"} }},
		"sign-out of all lost":     {"L1", "session ses4 stands", func(o *oracle) { o.kept.sessions["s4"] = keptSession{id: "ses4", account: "a-bo"} }},
		"other session stands":     {"L1", "session ses2 stands", func(o *oracle) { o.kept.sessions["s2"] = keptSession{id: "ses2", account: "a-bo"} }},
		"password lost":            {"L1", "the password is older", func(o *oracle) { o.kept.accounts["bo"] = keptAccount{"a-bo", "active", at(12)} }},
		"password refused":         {"L1", "accepted is refused", func(o *oracle) { o.again(19, func(r *record) { r.Secret = "p2" }) }},
		"no link":                  {"L1", "no link is kept", func(o *oracle) { delete(o.kept.mailed, "bo") }},
		"mail lost":                {"L1", "neither came nor waits", func(o *oracle) { o.number(11).Who = "cy" }},
		"proof lost":               {"L1", "the link is not spent", func(o *oracle) { o.kept.links["l"] = false }},
		"account lost":             {"L1", "account or its session", func(o *oracle) { delete(o.kept.accounts, "bo") }},
		"account not made":         {"L1", "account or its session", func(o *oracle) { o.kept.accounts["bo"] = keptAccount{"a-bo", "invited", at(16)} }},
		"session of account lost":  {"L1", "registration was answered, and the account or its session", func(o *oracle) { o.number(18).Session = "s2" }},
		"first password refused":   {"L1", "accepted is refused", func(o *oracle) { o.number(17).Status = 422 }},
		"account of somebody else": {"L1", "account or its session", func(o *oracle) { o.kept.sessions["s1"] = keptSession{"ses", "a-cy", true} }},
		"consent asked for again":  {"L1", "asked again for what was allowed", func(o *oracle) { o.number(21).Err = "consent_required" }},
		"consent lost":             {"L1", "the consent is not kept", func(o *oracle) { o.kept.consents = nil }},

		"sign-in without event":    {"L2", "sign-in has 0 events", func(o *oracle) { o.event("q17").Type = "x" }},
		"factor without event":     {"L2", "second factor has 0 events", func(o *oracle) { o.event("q28").Type = "x" }},
		"sign-out without event":   {"L2", "sign-out has 0 events", func(o *oracle) { o.event("q20").Request = "x" }},
		"sign-out long after":      {"L2", "sign-out has 0 events", func(o *oracle) { o.unheard(23, at(20).Add(-4*answerTime)) }},
		"code after unsure end":    {"L2", "authorize has 0 events", func(o *oracle) { o.unheard(23, at(18)); o.event("q15").Type = "x" }},
		"leave without event":      {"L2", "sign-out everywhere has 0", func(o *oracle) { o.event("q23").Outcome = "refused" }},
		"change without event":     {"L2", "password change has 0 events", func(o *oracle) { o.event("q18").Request = "x" }},
		"change with two events":   {"L2", "password change has 2 events", func(o *oracle) { o.kept.events = append(o.kept.events, *o.event("q18")) }},
		"code without event":       {"L2", "authorize has 0 events", func(o *oracle) { o.event("q15").Type = "x" }},
		"consent without event":    {"L2", "consent has 0 events", func(o *oracle) { o.event("q14").Type = "x" }},
		"sign-up without event":    {"L2", "sign-up has 0 events", func(o *oracle) { o.event("q10").Type = "x" }},
		"proof without event":      {"L2", "address proof has 0 events", func(o *oracle) { o.event("q12").Type = "x" }},
		"account without event":    {"L2", "registration has 0 events", func(o *oracle) { o.event("q13").Type = "x" }},
		"session ended twice":      {"L2", "the end of session ses has 2", func(o *oracle) { e := *o.event("q20"); e.Request = "lost"; o.kept.events = append(o.kept.events, e) }},
		"account made twice":       {"L2", "the creation of account a-bo has 2", func(o *oracle) { e := *o.event("q13"); e.Request = "lost"; o.kept.events = append(o.kept.events, e) }},
		"reader not recorded":      {"L2", "has 0 entries", func(o *oracle) { o.kept.disclosures = nil }},
		"reader recorded twice":    {"L2", "has 2 entries", func(o *oracle) { o.kept.disclosures = append(o.kept.disclosures, o.kept.disclosures[0]) }},
		"another reader recorded":  {"L2", "the entry says", func(o *oracle) { o.kept.disclosures[0].jti = "j9" }},
		"another case recorded":    {"L2", "the entry says", func(o *oracle) { o.kept.disclosures[0].caseID = "case-bo" }},
		"reader recorded, refused": {"L2", "the entry says", func(o *oracle) { o.kept.disclosures[0].outcome = "refused" }},

		"link good twice":      {"L3", "shown for address proof", func(o *oracle) { o.again(12, func(*record) {}) }},
		"two accounts":         {"L3", "shown for registration", func(o *oracle) { o.again(13, func(*record) {}) }},
		"assertion good twice": {"L3", "shown for assertion", func(o *oracle) { o.number(25).Status = 200 }},
		"one-time code twice":  {"L3", "shown for second factor", func(o *oracle) { o.number(29).Status = 303 }},
		"code good twice, unheard": {"L3", "the code of grant g8", func(o *oracle) {
			o.kept.events = append(o.kept.events, keptEvent{Type: "token.issued", Outcome: "allowed", JTI: "lost", Grant: "g8"})
		}},
		"another link": {"L3", "2 links for 1 requests", func(o *oracle) { r := *o.number(11); r.Link = "m"; o.records = append(o.records, r) }},
	})
}

func TestOracle_FindsWhatWorksThatMayNot(t *testing.T) {
	t.Parallel()
	findsEach(t, map[string]spoiled{
		"ended session":            {"L5", "good for authorize", func(o *oracle) { o.number(21).Code = "c9" }},
		"renewed session":          {"L5", "good for authorize", func(o *oracle) { o.again(15, func(r *record) { r.Code = "c9" }) }},
		"ended session signed out": {"L5", "good for sign-out", func(o *oracle) { o.again(20, func(*record) {}) }},
		"ended session left":       {"L5", "good for sign-out everywhere", func(o *oracle) { o.again(23, func(*record) {}) }},
		"session ended by other":   {"L5", "good for password change", func(o *oracle) { o.again(18, func(r *record) { r.Session = "s2" }) }},
		"token of ended session":   {"L5", "ended at", func(o *oracle) { o.again(16, func(r *record) { r.Op, r.Shown, r.Refresh = opRefresh, "r8", "r9" }) }},
		"code of ended session":    {"L5", "its code was redeemed", func(o *oracle) { o.number(16).Began = at(18) }},
		"case by ended session":    {"L5", "opened a case", func(o *oracle) { o.again(5, func(r *record) { r.JTI = "j8" }) }},
		"token of a leaked key":    {"L5", "the key of the token was discarded", func(o *oracle) { o.leak(4, 5, 7) }},
		"key leaked while deaf": {"L5", "the key of the token was discarded", func(o *oracle) {
			o.leak(4, 5, 12)
			o.deaf = []span{{at(4), at(40)}}
		}},
		"first token of a key": {"L5", "the key of the token was discarded", func(o *oracle) { o.leak(4, 5, 7); o.records[len(o.records)-1].JTI = "j1" }},
		"old password":         {"L5", "the password was replaced", func(o *oracle) { o.again(17, func(*record) {}) }},
		"subject of another":   {"L6", "bo got tokens of sub-ana", func(o *oracle) { o.number(16).Subject = "sub-ana" }},

		"guess was good":          {"L7", "was good", func(o *oracle) { o.number(26).Status = 303 }},
		"verified, not recorded":  {"L7", "verified: false", func(o *oracle) { o.event("q26").Type = "x" }},
		"verified, not said":      {"L7", "verified: true", func(o *oracle) { o.number(26).Status = 429 }},
		"six at once":             {"L7", "wrong passwords of bo were verified within", func(o *oracle) { o.guessed(5, 31) }},
		"eight within three":      {"L7", "wrong passwords of bo were verified within", func(o *oracle) { o.guessed(4, 31); o.guessed(1, 33); o.guessed(1, 34) }},
		"too many whatever waits": {"L7", "91 wrong passwords", func(o *oracle) { o.guessed(90, 31) }},
		"counter behind":          {"L7", "no counter that is left", func(o *oracle) { o.guessed(1, 33); o.kept.failures = []int64{1, 1} }},
		"one counter for two": {"L7", "no counter that is left", func(o *oracle) {
			o.kept.accounts["cy"], o.kept.failures = keptAccount{"a-cy", "active", at(0)}, []int64{1}
			o.again(26, func(r *record) { r.Who = "cy" })
			e := *o.event("q26")
			e.Account, e.Request = "a-cy", "q99"
			o.kept.events = append(o.kept.events, e)
		}},
		"counter lost": {"L7", "no counter that is left", func(o *oracle) { o.kept.failures = nil }},
	})
}

// What may be is no breach.
func TestOracle_LetsBe(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*oracle){
		"five at once, and each after its wait": func(o *oracle) {
			o.guessed(4, 31)
			for _, when := range []int{32, 34, 38} {
				o.guessed(1, when)
			}
			o.kept.failures = append(o.kept.failures, 8)
		},
		"a consent that was not given yet": func(o *oracle) { o.number(21).Who, o.number(21).Err = "cy", "consent_required" },
		"a mail that waits":                func(o *oracle) { o.records, o.kept.waiting["bo"] = without(o.records, 11), true },
		"a mail whose link has ended": func(o *oracle) {
			o.records = without(o.records, 11)
			o.now = o.now.Add(time.Hour)
		},
		"a password that may have been changed": func(o *oracle) {
			o.again(18, func(r *record) { r.Status, r.Session, r.Fresh = 0, "s5", "p3" })
			o.again(19, func(r *record) { r.N, r.Secret = 100, "p2" })
		},
		"a session that was left by a request nobody heard of":       func(o *oracle) { o.unheard(23, at(18)) },
		"a session that was signed out by a request nobody heard of": func(o *oracle) { o.unheard(20, at(18)) },
		"a session that a new password ended, of which nobody heard": func(o *oracle) { o.unheard(18, at(18)) },
		"a guess that was verified and answered with a failure":      func(o *oracle) { o.number(26).Status = 503 },
		"a token whose key leaked a moment ago":                      func(o *oracle) { o.leak(5, 6, 7) },
		"a token that came while keys were replaced":                 func(o *oracle) { o.leak(3, 5, 7) },
		"a token whose key leaked while nobody could say":            func(o *oracle) { o.leak(4, 5, 11); o.deaf = []span{{at(4), at(40)}} },
		"a token whose key leaked, and that is refused": func(o *oracle) {
			o.leak(4, 5, 9)
			o.records[len(o.records)-1].Status = 401
		},
		"a case that was not shown": func(o *oracle) {
			o.again(5, func(r *record) { r.Status = 404 })
		},
		"a code that was refused later, and tokens that were renewed": func(o *oracle) {
			o.kept.events = append(o.kept.events,
				keptEvent{Type: "token.issued", Outcome: "refused", JTI: "lost", Grant: "g8"}, keptEvent{Type: "token.refreshed", Outcome: "allowed", JTI: "lost", Grant: "g8"})
		},
		"a grant of a session while another is signed out": func(o *oracle) {
			o.again(16, func(r *record) {
				r.Who, r.N, r.Code, r.Refresh, r.JTI, r.Subject, r.Ended = "ana", 98, "c5", "r5", "j5", "sub-ana", at(38)
			})
			o.kept.refresh[hashOf("r5")], o.kept.families["f5"], o.kept.access["j5"] = keptRefresh{family: "f5"}, keptFamily{grant: "g5"}, "g5"
			o.kept.grants["g5"], o.kept.sessions["s9"] = keptGrant{session: "s", account: "a-ana"}, keptSession{"other", "a-ana", true}
			o.kept.events = append(o.kept.events, keptEvent{Type: "token.issued", Outcome: "allowed", JTI: "j5", Grant: "g5"})
			o.again(20, func(r *record) { r.Who, r.Session, r.Began = "ana", "s9", at(39) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := story()
			change(&o)
			if out := o.judge(); len(out) > 0 {
				t.Error(out)
			}
		})
	}
}

func without(all []record, n int) (out []record) {
	for _, r := range all {
		if r.N != n {
			out = append(out, r)
		}
	}
	return out
}
