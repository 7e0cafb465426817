package main

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"
)

// kept is what the provider has in its database.
type kept struct {
	refresh  map[string]keptRefresh // by hash, in hexadecimal digits
	families map[string]keptFamily
	grants   map[string]keptGrant
	access   map[string]string      // jti → grant
	sessions map[string]keptSession // by hash of the cookie
	accounts map[string]keptAccount // by address
	links    map[string]bool        // hash of a mailed link → spent
	mailed   map[string]bool        // addresses that a link was made for
	waiting  map[string]bool        // addresses that mail waits for
	steps    map[string]int64       // the last time step of a code, by account
	consents map[string]bool        // account and client
	failures []int64                // of all counters of guesses
	events   []keptEvent

	disclosures []disclosure // of the case service
}

type keptRefresh struct {
	family, child string
	used          bool
}

type keptFamily struct {
	grant   string
	revoked bool
}

type keptGrant struct {
	session, account string
	revoked          bool
}

type keptSession struct {
	id, account string
	ended       bool
}

type keptAccount struct {
	id, status string
	password   time.Time // when it was set
}

// disclosure is an entry of the case service's ledger.
type disclosure struct{ act, outcome, caseID, jti, request string }

// keptEvent is what the oracle needs of an audit event.
type keptEvent struct {
	At      time.Time         `json:"at"`
	Type    string            `json:"type"`
	Outcome string            `json:"outcome"`
	Reason  string            `json:"reason"`
	Account string            `json:"account"`
	Session string            `json:"session"`
	Request string            `json:"request"`
	JTI     string            `json:"jti"`
	Grant   string            `json:"grant"`
	Family  string            `json:"family"`
	Detail  map[string]string `json:"detail"`
}

// breach is one thing that must not be, by the rule that it breaks.
type breach struct {
	rule string
	n    int // record of the ledger; 0: none in particular
	what string
}

// String says it on one line.
func (b breach) String() string { return fmt.Sprintf("%s: record %d: %s", b.rule, b.n, b.what) }

// oracle compares what was answered with what is kept.
type oracle struct {
	records  []record
	kept     kept
	subjects map[string]string // person → subject
	owners   map[string]string // person → case
	now      time.Time
	deaf     []span // when the API could not hear the provider
	leaked   []span // when keys were discarded, as after a leak
	ends     ends
	out      []breach
}

func (o *oracle) found(rule string, n int, format string, args ...any) {
	o.out = append(o.out, breach{rule, n, fmt.Sprintf(format, args...)})
}

// judge returns every breach.
func (o *oracle) judge() []breach {
	o.ends = o.ended()
	o.accepted()
	o.acceptedOfPeople()
	o.audited()
	o.disclosed()
	o.mailed()
	o.once()
	o.lines()
	o.dead()
	o.discarded()
	o.changed()
	o.bounded()
	o.own()
	o.closed()
	return o.out
}

// keptFor is how long the row of an access token is certainly there: it goes when the token has ended.
const keptFor = 4 * time.Minute

func hashOf(token string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(token))) }

// accepted: no accepted write is missing (L1).
func (o *oracle) accepted() {
	for _, r := range o.records {
		if !r.answered() {
			continue
		}
		switch r.Op {
		case opRedeem, opRefresh:
			if _, ok := o.kept.access[r.JTI]; !ok && o.now.Sub(r.Ended) < keptFor {
				o.found("L1", r.N, "access token %s was answered and is not kept", r.JTI)
			}
			if _, ok := o.kept.refresh[hashOf(r.Refresh)]; !ok {
				o.found("L1", r.N, "a refresh token was answered and is not kept")
			}
			if old := o.kept.refresh[hashOf(r.Shown)]; r.Op == opRefresh && (!old.used || old.child != hashOf(r.Refresh)) {
				o.found("L1", r.N, "the refresh token that was used does not lead to the one that was answered")
			}
		case opRevoke:
			t, ok := o.kept.refresh[hashOf(r.Shown)]
			f := o.kept.families[t.family]
			if ok && (!f.revoked || !o.kept.grants[f.grant].revoked) {
				o.found("L1", r.N, "the revocation of family %s was answered and is not kept", t.family)
			}
		}
	}
}

// lines: no family forks, and each has at most one leaf that can be used (L4).
func (o *oracle) lines() {
	leaves, parents := map[string]int{}, map[string]int{}
	for hash, t := range o.kept.refresh {
		if !t.used {
			leaves[t.family]++
		}
		if t.child == "" {
			continue
		}
		parents[t.child]++
		if c, ok := o.kept.refresh[t.child]; !ok || c.family != t.family {
			o.found("L4", 0, "the successor of %.8s is missing or of another family", hash)
		}
	}
	for _, f := range slices.Sorted(maps.Keys(leaves)) {
		if leaves[f] > 1 {
			o.found("L4", 0, "family %s has %d live leaves", f, leaves[f])
		}
	}
	for child, n := range parents {
		if n > 1 {
			o.found("L4", 0, "%.8s is the successor of %d tokens", child, n)
		}
	}
}

// How long an API may take to hear of what ended: a second where it hears the provider at all, and else until it has heard
// nothing for its patience and asks about each token.
const (
	reach    = time.Second
	patience = 5 * time.Second
)

// span is a time in which something was broken.
type span struct{ from, to time.Time }

// within is how long after its end something may still be believed at a time.
func (o *oracle) within(ended, at time.Time) time.Duration {
	for _, s := range o.deaf {
		if s.from.Before(at) && s.to.After(ended) {
			return patience + reach
		}
	}
	return reach
}

// own: every answer speaks of whom it was asked for (L6).
func (o *oracle) own() {
	for _, r := range o.records {
		if !r.answered() {
			continue
		}
		switch r.Op {
		case opRedeem, opRefresh:
			if want := o.subject(r); r.Subject != want {
				o.found("L6", r.N, "%s got tokens of %s instead of %s", r.Who, r.Subject, want)
			}
		case opCase:
			if want := o.owners[r.Who]; r.Subject != want {
				o.found("L6", r.N, "%s read case %s instead of %s", r.Who, r.Subject, want)
			}
		}
	}
}

// subject is who somebody is to the app. Of who is new, what came first says so, and it is nobody else's.
func (o *oracle) subject(r record) string {
	want, known := o.subjects[r.Who]
	if known {
		return want
	}
	for _, s := range o.subjects {
		if s == r.Subject {
			return "one that nobody has"
		}
	}
	o.subjects[r.Who] = r.Subject
	return r.Subject
}

// closed: nothing but an orderly answer while something is down (L8).
func (o *oracle) closed() {
	for _, r := range o.records {
		if r.Wrong != "" {
			o.found("L8", r.N, "%s: %s", r.Op, r.Wrong)
		}
	}
}
