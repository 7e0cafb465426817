package main

import "time"

// tells is the event that each answer has for itself, by what was asked.
var tells = map[string]string{
	opSignIn: "signin.password", opSignOut: "session.ended", opLeave: "session.ended", opPassword: "password.changed",
	opSignUp: "signup.requested", opProve: "signup.address_proven", opRegister: "account.created", opConsent: "consent.given",
	opAuthorize: "code.issued", opFactor: "signin.factor",
}

// audited: each answer that issues, changes or reveals has exactly one event, and what happens once has one (L2). Whether chains
// and checkpoints hold, the provider's own command says.
func (o *oracle) audited() {
	issued, revoked, told := o.tally()
	late := map[string]time.Time{} // when somebody last asked for an end that may still come
	for _, r := range o.records {
		if r.unsure() && (r.Op == opSignOut || r.Op == opLeave || r.Op == opPassword) {
			late[r.Who] = r.Ended
		}
		if !r.answered() {
			continue
		}
		switch r.Op {
		case opRedeem, opRefresh, opMachine, opAssert:
			if issued[r.JTI] != 1 {
				o.found("L2", r.N, "%s of token %s has %d events", r.Op, r.JTI, issued[r.JTI])
			}
		case opRevoke:
			if t, ok := o.kept.refresh[hashOf(r.Shown)]; ok && revoked[t.family] == 0 {
				o.found("L2", r.N, "the revocation of family %s has no event", t.family)
			}
		}
		if r.Op == opSignOut && r.Ended.Sub(late[r.Who]) < 4*answerTime {
			continue // it may have found the session ended
		}
		kind := tells[r.Op]
		if n := told[kind+" "+r.Request]; kind != "" && n != 1 && (r.Op != opAuthorize || r.Code != "") {
			o.found("L2", r.N, "%s has %d events %s", r.Op, n, kind)
		}
	}
}

// tally counts what was allowed by what it is about, and finds what happened twice that happens once.
func (o *oracle) tally() (issued, revoked, told map[string]int) {
	issued, revoked, told = map[string]int{}, map[string]int{}, map[string]int{}
	effects := map[string]int{}
	for _, e := range o.kept.events {
		if e.Outcome != "allowed" {
			continue
		}
		told[e.Type+" "+e.Request]++
		switch e.Type {
		case "token.issued", "token.refreshed":
			issued[e.JTI]++
		case "token.revoked":
			revoked[e.Family]++
		case "account.created":
			effects["the creation of account "+e.Account]++
		case "session.ended":
			if e.Detail["all"] == "" {
				effects["the end of session "+e.Session]++
			}
		}
	}
	for what, n := range effects {
		if n > 1 {
			o.found("L2", 0, "%s has %d events", what, n)
		}
	}
	return issued, revoked, told
}

// disclosed: each case that was shown has exactly one entry of who saw it, and it names the token (L2).
func (o *oracle) disclosed() {
	entries := map[string][]disclosure{}
	for _, d := range o.kept.disclosures {
		if d.request != "" {
			entries[d.request] = append(entries[d.request], d)
		}
	}
	for _, r := range o.records {
		if r.Op != opCase || r.Status != 200 {
			continue
		}
		found := entries[r.Request]
		if len(found) != 1 {
			o.found("L2", r.N, "the answer to a reader of case %s has %d entries", r.Subject, len(found))
			continue
		}
		if want := (disclosure{"case.read", "allowed", r.Subject, r.JTI, r.Request}); found[0] != want {
			o.found("L2", r.N, "the entry says %v instead of %v", found[0], want)
		}
	}
}

// once: nothing that is good once has two effects (L3).
func (o *oracle) once() {
	spent, parents := map[string]int{}, map[string]string{}
	for _, r := range o.records {
		if !r.answered() {
			continue
		}
		thing := map[string]string{opRedeem: r.Code, opAssert: r.Once, opProve: r.Link, opRegister: r.Link, opFactor: r.Once}[r.Op]
		if thing != "" {
			if first, again := spent[r.Op+thing]; again {
				o.found("L3", r.N, "what was shown for %s was good already for record %d", r.Op, first)
			}
			spent[r.Op+thing] = r.N
		}
		if r.Op == opRefresh {
			if child, again := parents[r.Shown]; again && child != r.Refresh {
				o.found("L3", r.N, "the refresh token had another successor before")
			}
			parents[r.Shown] = r.Refresh
		}
	}
	grants := map[string]int{}
	for _, e := range o.kept.events { // of answers that were lost, too
		if e.Type == "token.issued" && e.Outcome == "allowed" && e.Grant != "" {
			if grants[e.Grant]++; grants[e.Grant] == 2 {
				o.found("L3", 0, "the code of grant %s led to tokens twice", e.Grant)
			}
		}
	}
}

// mailed: a mail that was promised came or waits, and brought one link however often it came (L1, L3).
func (o *oracle) mailed() {
	promised, links := map[string]int{}, map[string]map[string]bool{}
	for _, r := range o.records {
		switch {
		case r.Op == opSignUp && (r.answered() || r.unsure()):
			promised[r.Who]++
		case r.Op == opMail:
			if links[r.Who] == nil {
				links[r.Who] = map[string]bool{}
			}
			links[r.Who][r.Link] = true
		}
	}
	for who, all := range links {
		if len(all) > promised[who] {
			o.found("L3", 0, "%s got %d links for %d requests", who, len(all), promised[who])
		}
	}
	for _, r := range o.records {
		if r.Op == opSignUp && r.answered() && len(links[r.Who]) == 0 && !o.kept.waiting[r.Who] && o.now.Sub(r.Ended) < mailLife {
			o.found("L1", r.N, "the mail to %s neither came nor waits", r.Who)
		}
	}
}
