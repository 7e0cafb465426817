package e2e

import (
	"net/url"
	"strings"
	"testing"
)

// TestClaim_AsksForASecondFactorAndKeepsWhatWasTyped claims with an account that has a password alone: the way leads to the
// enrolment, and back to what was typed, which is sent only when the person says so.
func TestClaim_AsksForASecondFactorAndKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "es"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			g, p, note := newGallery(t, portal, lang), newPerson(t, lang), demo.notice(t)
			v := g.v
			v.Open(demo.Portal + "/")
			g.speak()
			v.Follow("/signin")
			v.Follow("/signup")
			p.signUp(v)
			v.leave(func() { v.click(`document.querySelector("main a.ellis-quiet")`) }) // not now
			v.Submit("allow", nil)
			v.Follow("/claim")
			v.Submit("", map[string]string{"receipt": note.Receipt, "code": note.Code})
			at(t, v, "/signin/enrol")
			p.enrol(v)
			at(t, v, "/claim/review")
			g.look("claim_review")
			if text := strings.ReplaceAll(v.Text(), " ", ""); !strings.Contains(text, note.Receipt) || !strings.Contains(text, note.Code) {
				t.Errorf("what was typed is lost: %s", short(v.Text()))
			}
			v.Submit("/claim/send", nil)
			if u, err := url.Parse(v.URL()); err != nil || !strings.HasPrefix(u.Path, "/cases/") {
				t.Fatalf("after the claim at %s (%d): %s", v.URL(), v.Status(), short(v.Text()))
			}
			g.look("case", "claimed")
			v.Follow("/cases")
			g.look("home", "one")
		})
	}
}
