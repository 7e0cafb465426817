package main

import (
	"slices"
	"strconv"
	"time"

	"ellis.example/deploy/internal/seed"
)

// mailLife is how long a mail with a link is certainly tried: it goes when the link has ended.
const mailLife = 9 * time.Minute

// ends are when what ended did so, by what was answered.
type ends struct {
	families map[string]time.Time
	grants   map[string]time.Time
	sessions map[string]time.Time // by hash of the cookie
	secrets  map[string]time.Time // person and hash of the password
}

func first(m map[string]time.Time, key string, at time.Time) {
	if before, there := m[key]; key != "" && (!there || at.Before(before)) {
		m[key] = at
	}
}

// born is something that somebody was given at a time.
type born struct {
	what string
	at   time.Time
}

// given returns the grants and the sessions of each person. A grant begins with its code.
func (o *oracle) given() (grants, sessions map[string][]born) {
	grants, sessions = map[string][]born{}, map[string][]born{}
	codes := map[string]time.Time{}
	for _, r := range o.records {
		switch {
		case !r.answered():
		case r.Op == opAuthorize && r.Code != "":
			codes[r.Code] = r.Ended
		case r.Op == opRedeem:
			if g, kept := o.kept.access[r.JTI]; kept {
				grants[r.Who] = append(grants[r.Who], born{g, codes[r.Code]})
			}
		case r.Next != "":
			sessions[r.Who] = append(sessions[r.Who], born{r.Next, r.Ended})
		}
	}
	return grants, sessions
}

// ended finds what ended: by a revocation, a sign-out or a new password.
func (o *oracle) ended() ends {
	e := ends{map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}}
	grants, sessions := o.given()
	for _, r := range o.records {
		if !r.answered() {
			continue
		}
		switch r.Op {
		case opRevoke:
			if t, ok := o.kept.refresh[hashOf(r.Shown)]; ok {
				first(e.families, t.family, r.Ended)
				first(e.grants, o.kept.families[t.family].grant, r.Ended)
			}
		case opSignOut:
			first(e.sessions, r.Session, r.Ended)
			for _, g := range grants[r.Who] {
				if o.kept.grants[g.what].session == o.kept.sessions[r.Session].id {
					first(e.grants, g.what, r.Ended)
				}
			}
		case opLeave, opPassword:
			first(e.sessions, r.Session, r.Ended) // a new password comes with a new cookie
			grants[r.Who] = before(e.grants, grants[r.Who], r)
			sessions[r.Who] = before(e.sessions, sessions[r.Who], r)
			if r.Op == opPassword {
				first(e.secrets, r.Who+" "+r.Secret, r.Ended)
			}
		}
	}
	return e
}

// before ends what somebody was given before they asked for its end, and returns the rest.
func before(ended map[string]time.Time, all []born, r record) []born {
	return slices.DeleteFunc(all, func(b born) bool {
		if !b.at.Before(r.Began) {
			return false
		}
		first(ended, b.what, r.Ended)
		return true
	})
}

// acceptedOfPeople: nothing is missing that people were told is done (L1).
func (o *oracle) acceptedOfPeople() {
	renewed := map[string]bool{}
	for _, r := range o.records {
		renewed[r.Session] = renewed[r.Session] || r.Op == opPassword
	}
	for _, r := range o.records {
		if !r.answered() {
			continue
		}
		if why := o.lost(r, renewed); why != "" {
			o.found("L1", r.N, "%s was answered, and %s", r.Op, why)
		}
	}
	o.allowed()
	for g, at := range o.ends.grants {
		if k, there := o.kept.grants[g]; there && !k.revoked {
			o.found("L1", 0, "grant %s stands although it ended at %s", g, at.Format(time.StampMilli))
		}
	}
	for s, at := range o.ends.sessions {
		if k, there := o.kept.sessions[s]; there && !k.ended {
			o.found("L1", 0, "session %s stands although it ended at %s", k.id, at.Format(time.StampMilli))
		}
	}
}

// allowed: who allowed the app what it asks for is not asked again (L1).
func (o *oracle) allowed() {
	given := map[string]bool{}
	for who := range o.owners {
		given[who] = true
	}
	for _, r := range o.records {
		switch {
		case r.Op == opConsent && r.answered():
			given[r.Who] = true
		case r.Op == opAuthorize && r.Err == "consent_required" && given[r.Who]:
			o.found("L1", r.N, "%s is asked again for what was allowed", r.Who)
		}
	}
}

// lost says what is missing of something that was answered, "" if nothing is. renewed are the sessions whose cookie may have
// been replaced.
func (o *oracle) lost(r record, renewed map[string]bool) string {
	session, there := o.kept.sessions[r.Next]
	account := o.kept.accounts[r.Who]
	switch r.Op {
	case opFactor:
		if step, err := strconv.ParseInt(r.Once, 10, 64); err != nil || o.kept.steps[account.id] < step {
			return "its time step is not kept as used"
		}
		fallthrough
	case opSignIn:
		if !there && !renewed[r.Next] {
			return "its session is not kept"
		}
	case opSignOut:
		if s, there := o.kept.sessions[r.Session]; !there || !s.ended {
			return "the session is not kept as ended"
		}
	case opPassword:
		if account.password.Before(r.Began.Truncate(time.Microsecond)) {
			return "the password is older"
		}
	case opSignUp:
		if !o.kept.mailed[r.Who] {
			return "no link is kept"
		}
	case opProve:
		if !o.kept.links[r.Link] {
			return "the link is not spent"
		}
	case opRegister:
		if account.status != "active" || (there && session.account != account.id) || (!there && !renewed[r.Next]) {
			return "the account or its session is not kept"
		}
	case opConsent:
		if !o.kept.consents[account.id+" "+seed.App] {
			return "the consent is not kept"
		}
	}
	return ""
}

// dead: nothing that ended works again (L5): at the provider from the answer on, at the API a little later.
func (o *oracle) dead() {
	for _, r := range o.records {
		if !r.answered() {
			continue
		}
		at, ended := o.ends.grants[o.kept.access[r.JTI]]
		switch r.Op {
		case opCase:
			if ended && r.Began.After(at.Add(o.within(at, r.Began))) {
				o.found("L5", r.N, "the token ended at %s and opened a case", at.Format(time.StampMilli))
			}
		case opRedeem:
			if ended && r.Began.After(at) {
				o.found("L5", r.N, "the grant ended at %s and its code was redeemed", at.Format(time.StampMilli))
			}
		case opRefresh:
			t := o.kept.refresh[hashOf(r.Shown)]
			at, ended := o.ends.families[t.family]
			if byGrant, too := o.ends.grants[o.kept.families[t.family].grant]; too && (!ended || byGrant.Before(at)) {
				at, ended = byGrant, true
			}
			if ended && r.Began.After(at) {
				o.found("L5", r.N, "family %s ended at %s and was renewed", t.family, at.Format(time.StampMilli))
			}
		case opAuthorize, opPassword, opSignOut, opLeave:
			at, ended := o.ends.sessions[r.Session]
			if ended && r.Began.After(at) && (r.Op != opAuthorize || r.Code != "") {
				o.found("L5", r.N, "the session ended at %s and was good for %s", at.Format(time.StampMilli), r.Op)
			}
		}
	}
}

// discarded: no token opens anything whose key was discarded after it was signed (L5).
func (o *oracle) discarded() {
	came := map[string]time.Time{}
	for _, r := range o.records {
		if r.answered() && (r.Op == opRedeem || r.Op == opRefresh) {
			came[r.JTI] = r.Ended
		}
	}
	for _, r := range o.records {
		at, known := came[r.JTI]
		if r.Op != opCase || !r.answered() || !known {
			continue
		}
		for _, s := range o.leaked {
			if at.Before(s.from) && r.Began.After(s.to.Add(o.within(s.to, r.Began))) {
				o.found("L5", r.N, "the key of the token was discarded at %s, and it opened a case", s.to.Format(time.StampMilli))
			}
		}
	}
}

// changed: from the answer on only the new password opens an account (L1, L5).
func (o *oracle) changed() {
	now := map[string]string{} // who has which password, where that is known
	for _, r := range o.records {
		switch r.Op {
		case opRegister, opPassword:
			if r.answered() {
				now[r.Who] = r.Fresh
			} else if r.Op == opPassword && r.unsure() {
				delete(now, r.Who)
			}
		case opSignIn:
			at, ended := o.ends.secrets[r.Who+" "+r.Secret]
			if ended && r.answered() && r.Began.After(at) {
				o.found("L5", r.N, "the password was replaced at %s and opened the account", at.Format(time.StampMilli))
			}
			if r.Status == 422 && r.Secret != "" && now[r.Who] == r.Secret {
				o.found("L1", r.N, "the password that was accepted is refused")
			}
		}
	}
}
