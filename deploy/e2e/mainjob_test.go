package e2e

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestMainJob walks everything that the system is for: somebody new signs up out of the portal, proves the address,
// enrols a second factor, signs in, allows the portal, sees that there is no case, claims one from a paper notice, reads
// it, and signs out of both services. Then an analyst finds the whole of it on both sides.
func TestMainJob(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		name    string
		scripts bool
		lang    string
	}{
		{"with scripts in English", true, "en"}, {"without scripts in English", false, "en"},
		{"with scripts in Spanish", true, "es"}, {"without scripts in Spanish", false, "es"},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			v, p, note := chrome.with(t, way.scripts).tab(), newPerson(t, way.lang), demo.notice(t)
			p.comeFromPortal(v, way.lang)
			p.claim(v, note)
			claimed := p.tracedAtTheService(note)
			p.tracedAtTheProvider(claimed)
			p.leaveBoth(v)
		})
	}
}

// comeFromPortal goes from the portal's front page through the sign-up to the empty list of cases.
func (p *person) comeFromPortal(v visitor, lang string) {
	p.t.Helper()
	v.Open(demo.Portal + "/")
	if lang != "en" {
		v.Submit("/language", map[string]string{})
	}
	v.Follow("/signin")
	at(p.t, v, "/signin")
	if !strings.HasPrefix(v.URL(), demo.Issuer) {
		p.t.Fatalf("the portal's sign-in is at %s", v.URL())
	}
	v.Follow("/signup")
	p.signUp(v)
	if _, known := v.(*tab); known && lang == "es" && !strings.Contains(v.HTML(), `lang="es"`) {
		p.t.Errorf("Spanish was chosen in the portal, and the provider speaks another language: %s", short(v.Text()))
	}
	v.Follow("enrol")
	p.enrol(v)
	at(p.t, v, "/consent")
	v.Submit("allow", nil)
	at(p.t, v, "/cases")
	if !strings.HasPrefix(v.URL(), demo.Portal) || strings.Contains(v.HTML(), "IOE") {
		p.t.Fatalf("after the consent at %s: %s", v.URL(), short(v.Text()))
	}
}

// claim adds the case of a paper notice. Who signed in more than five minutes ago is asked again on the way; here it was
// just now.
func (p *person) claim(v visitor, note paper) {
	p.t.Helper()
	v.Follow("/claim")
	v.Submit("", map[string]string{"receipt": note.Receipt, "code": "0000-0000-0000-0000-0000-0000"})
	at(p.t, v, "/claim")
	if !strings.Contains(v.HTML(), `id="code-error"`) || !strings.Contains(strings.ReplaceAll(v.HTML(), " ", ""), `value="`+note.Receipt) {
		p.t.Errorf("a wrong code is not told beside its field, or what was typed is lost: %s", short(v.Text()))
	}
	v.Submit("", map[string]string{"receipt": note.Receipt, "code": note.Code})
	if u, err := url.Parse(v.URL()); err != nil || !strings.HasPrefix(u.Path, "/cases/") {
		p.t.Fatalf("after the claim at %s (%d): %s", v.URL(), v.Status(), short(v.Text()))
	}
	for _, part := range []string{`aria-current="step"`, `id="whatnext-heading"`, `id="history-heading"`} {
		if !strings.Contains(v.HTML(), part) {
			p.t.Errorf("the case page has no %s: %s", part, short(v.Text()))
		}
	}
	if !strings.Contains(strings.ReplaceAll(v.Text(), " ", ""), note.Receipt) {
		p.t.Errorf("the case page does not name its receipt number: %s", short(v.Text()))
	}
}

type entry struct {
	Type    string `json:"type"`
	Act     string `json:"act"`
	Outcome string `json:"outcome"`
	JTI     string `json:"jti"`
	Txn     string `json:"txn"`
	Sub     string `json:"sub"`
	Client  string `json:"client"`
	Account string `json:"account"`
}

// subject is how the case service knows the person.
func (p *person) subject() string {
	p.t.Helper()
	var shown struct {
		Subject string `json:"subject"`
	}
	if err := json.Unmarshal(demo.command(p.t, "idp", "user", "show", p.Email, "--api", "cases", "--json"), &shown); err != nil || shown.Subject == "" {
		p.t.Fatalf("nobody is shown: %v", err)
	}
	return shown.Subject
}

// tracedAtTheService finds the claim in the ledger of the case service, by who did it; its token and its transaction lead to
// it too.
func (p *person) tracedAtTheService(note paper) (claimed entry) {
	p.t.Helper()
	sub := p.subject()
	for _, line := range strings.Split(string(demo.command(p.t, "caseservice", "ledger", "tail", "-n", "500", "--json")), "\n") {
		var e entry
		if json.Unmarshal([]byte(line), &e) == nil && e.Act == "case.claim" && e.Outcome == "allowed" && e.Sub == sub {
			claimed = e
		}
	}
	if claimed.JTI == "" || claimed.Txn == "" {
		p.t.Fatalf("the ledger has no claim with its token: %+v", claimed)
	}
	for _, id := range []string{claimed.JTI, claimed.Txn} {
		out := string(demo.command(p.t, "caseservice", "ledger", "trace", id))
		if !strings.Contains(out, "case.claim") {
			p.t.Errorf("trace of %s at the service:\n%s", id, out)
		}
		for _, secret := range []string{note.Code, p.Email, p.Family} {
			if strings.Contains(out, secret) {
				p.t.Errorf("the ledger knows %q", secret)
			}
		}
	}
	return claimed
}

var eventLine = regexp.MustCompile(`(?m)^\S+\s+(\S+)\s+(\S+)`)

// tracedAtTheProvider follows token and transaction of the claim back to where they came from.
func (p *person) tracedAtTheProvider(claimed entry) {
	p.t.Helper()
	types := func(id string) map[string]bool {
		seen := map[string]bool{}
		for _, m := range eventLine.FindAllStringSubmatch(string(demo.command(p.t, "idp", "audit", "trace", id)), -1) {
			seen[m[1]] = true
		}
		return seen
	}
	byPerson := types(p.Email)
	for _, id := range []string{claimed.JTI, claimed.Txn} {
		seen := types(id)
		for _, want := range []string{"consent.given", "code.issued", "token.issued"} {
			if !seen[want] {
				p.t.Errorf("the trace of %s has no %s: %v", id, want, seen)
			}
		}
	}
	for _, want := range []string{"account.created", "factor.enrolled", "consent.given", "token.issued"} {
		if !byPerson[want] {
			p.t.Errorf("the trace of the person has no %s: %v", want, byPerson)
		}
	}
	demo.command(p.t, "idp", "audit", "verify")
	demo.command(p.t, "caseservice", "ledger", "verify")
}

// leaveBoth signs out at the portal, which asks the provider to end its session too.
func (p *person) leaveBoth(v visitor) {
	p.t.Helper()
	v.Open(demo.Portal + "/signout")
	v.Submit("/signout", map[string]string{})
	if strings.HasPrefix(v.URL(), demo.Issuer) { // the provider asks before it ends its session
		v.Submit("signout", nil)
	}
	at(p.t, v, "/signed-out")
	v.Open(demo.Portal + "/cases")
	if strings.Contains(v.HTML(), "/cases/") {
		p.t.Errorf("signed out, and cases are shown: %s", short(v.Text()))
	}
	v.Open(demo.Issuer + "/account")
	at(p.t, v, "/signin")
}
