package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// unreachablePortal are pages of the portal that nobody can be led to on purpose; its own tests render them.
var unreachablePortal = map[string]string{
	"unavailable":  "only while the case API does not answer",
	"claim_review": "TestClaim_AsksForASecondFactorAndKeepsWhatWasTyped shows it",
}

var mountedPortal = regexp.MustCompile(`\{"(/(?:signin|signout|signed-out|cases|cases/\{id\}|claim|help|privacy|not-government))",`)

func TestPages_OfThePortalInBothLanguages(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "es"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			g := newGallery(t, portal, lang)
			g.portalFront()
			g.portalCases(demo.People[0])
			g.portalEnd()
			g.complete(unreachablePortal)
			g.routes("caseservice/internal/portal/portal.go", demo.Portal, mountedPortal, 9)
		})
	}
}

func (g *gallery) portalFront() {
	v := g.v
	v.Open(demo.Portal + "/")
	g.speak()
	g.look("landing")
	for _, page := range []string{"help", "privacy", "not_government"} {
		v.Open("/" + strings.ReplaceAll(page, "_", "-"))
		g.look(page)
	}
	v.Open("/no-such-page")
	g.look("error", "404")
	v.Open("/callback?state=nothing&code=nothing")
	g.look("signin_problem")
	v.Open("/cases/cas_nothing")
	g.look("session_ended", "none")
}

// portalCases looks at the pages of somebody who has cases.
func (g *gallery) portalCases(who seeded) {
	v := g.v
	p := &person{t: g.t, Email: who.Email, Password: who.Password, app: seededApps.of(g.t, who)}
	v.Open(demo.Portal + "/signin")
	seededApps.use(who.Email, func() { p.signIn(v) })
	if strings.Contains(v.URL(), "/consent") {
		v.Submit("allow", nil)
	}
	at(g.t, v, "/cases")
	g.look("home")
	v.Follow("/cases/")
	g.look("case")
	v.Open("/cases/cas_nothing")
	g.look("error", "no-case")
	v.Open("/claim")
	g.look("claim")
	v.Submit("", map[string]string{"receipt": "IOE123", "code": "nonsense"})
	g.look("claim", "errors")
}

func (g *gallery) portalEnd() {
	v := g.v
	fresh := newPerson(g.t, g.lang)
	v.Open(demo.Portal + "/signout")
	g.look("signout")
	v.Submit("/signout", map[string]string{})
	if strings.HasPrefix(v.URL(), demo.Issuer) {
		v.Submit("signout", nil)
	}
	g.look("signed_out")
	v.Open("/signin")
	v.Follow("/signup")
	fresh.signUp(v)
	v.Follow("enrol")
	fresh.enrol(v)
	v.Submit("allow", nil)
	g.look("home", "empty")
	v.Open(demo.Issuer + "/account/apps")
	v.Submit("/account/apps/withdraw", nil)
	for range 20 { // the API hears of it within a second
		if v.Open(demo.Portal + "/cases"); v.Status() != http.StatusOK {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	g.look("session_ended", "revoked")
}
