package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// unreachable are pages of the provider that nobody can be led to on purpose; its own tests render them.
var unreachable = map[string]string{
	"rate_limited": "only many thousand requests lead there",
	"unavailable":  "only an overloaded or broken provider shows it",
}

var mountedPages = regexp.MustCompile(`both\("(/[^"]*)"`)

func TestPages_OfTheProviderInBothLanguages(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "es"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			g := newGallery(t, identity, lang)
			p := newPerson(t, lang)
			g.beginSignUp(p)
			g.finishSignUp(p)
			g.account(p)
			g.factors(p)
			g.app()
			g.leaveAndReturn(p)
			g.stranded()
			g.complete(unreachable)
			g.routes("idp/internal/pages/pages.go", demo.Issuer, mountedPages, 20)
		})
	}
}

// beginSignUp looks at the pages up to the mailed link.
func (g *gallery) beginSignUp(p *person) {
	v := g.v
	v.Open(demo.Issuer + "/signup")
	g.speak()
	g.look("signup_start")
	v.Submit("", map[string]string{"email": ""})
	g.look("signup_start", "errors")
	v.Submit("", map[string]string{"email": p.Email})
	g.look("check_mail")
	v.Submit("/signup", nil)
	g.look("check_mail", "resent")
	v.Open(mail(g.t, p.Email, 1).link(g.t, "/signup/continue"))
	g.look("link_landing")
	landing := v.URL()
	v.Submit("/signup/continue", nil)
	details := v.URL()
	v.Open(landing)
	g.look("link_dead", "used")
	v.Open(demo.Issuer + "/signup/continue?token=nothing")
	g.look("link_dead", "unknown")
	v.Open(details)
}

// finishSignUp looks at the pages from there to the account.
func (g *gallery) finishSignUp(p *person) {
	v := g.v
	g.look("signup_details")
	v.Submit("", map[string]string{"given_name": "", "family_name": "", "password": ""})
	g.look("signup_details", "errors-empty")
	weak := p.details()
	weak["password"], weak["birth_day"], weak["username"] = "password password", "31", "x"
	v.Submit("", weak)
	g.look("signup_details", "errors-wrong")
	good := p.details()
	good["username"] = ""
	v.Submit("", good)
	g.look("offer_factor")
	v.Open("/account")
	g.look("account_home", "new")
	v.Open("/account/factors")
	g.look("factors", "none")
	v.Open("/account/apps")
	g.look("connected_apps", "none")
}

// account looks at the pages about the person.
func (g *gallery) account(p *person) {
	v := g.v
	v.Open("/account/profile")
	g.look("profile")
	v.Submit("", map[string]string{"given_name": "", "birth_year": "20"})
	g.look("profile", "errors")
	v.Submit("", map[string]string{"given_name": "Wolfeschlegelsteinhausenbergerdorff", "birth_year": "1991"})
	g.look("profile", "saved")
	v.Open("/account/password")
	g.look("change_password")
	v.Submit("", map[string]string{"current_password": "", "new_password": ""})
	g.look("change_password", "errors")
	v.Submit("", map[string]string{"current_password": p.Password, "new_password": p.Password + "-again"})
	p.Password += "-again"
	secrets.add("password", p.Password)
	g.look("account_home", "password")
	other := newPlain(g.t)
	other.Open(demo.Issuer + "/signin")
	p.signIn(other)
	v.Open("/account/sessions/end") // a form's address that somebody opens leads to the form
	g.look("sessions")
	v.Submit("others", nil)
	g.look("sessions", "ended")
	v.Open("/account/activity")
	g.look("activity")
}

// factors looks at the pages about second factors.
func (g *gallery) factors(p *person) {
	v := g.v
	v.Open("/account/factors/enrol")
	g.look("enrol_totp")
	v.click(`document.querySelector("details.ellis-more summary")`)
	g.look("enrol_totp", "manual")
	v.Submit("", map[string]string{"code": "00000"})
	g.look("enrol_totp", "errors")
	secret := textOf(secretText, v.HTML())
	p.app = newAuthenticator(g.t, secret)
	v.Submit("", map[string]string{"code": p.app.code()})
	g.look("recovery_codes")
	for _, m := range codeItem.FindAllStringSubmatch(codesList.FindStringSubmatch(v.HTML())[1], -1) {
		p.Recovery = append(p.Recovery, m[1])
		secrets.add("recovery code", m[1])
	}
	v.Submit("saved", nil)
	g.look("factors", "added")
	v.Follow("/account/factors/remove")
	g.look("remove_factor")
	v.Open("/account/recovery-codes")
	g.look("recovery_codes_renew")
	v.Open("/account")
	g.look("account_home", "protected")
}

// app looks at what a relying party leads to.
func (g *gallery) app() {
	v := g.v
	v.Open(rp.authorize(map[string]string{"prompt": "consent"}))
	g.look("consent")
	state := "gallery-" + g.lang
	v.setScripts(false) // else it would be gone before anybody can look
	v.Open(rp.authorize(map[string]string{"response_mode": "form_post", "state": state}))
	v.Submit("allow", nil)
	v.setScripts(true)
	g.look("form_post")
	v.Submit("/callback", nil)
	if got := rp.arrived(g.t, "state", state); got.Method != http.MethodPost || got.Values.Get("code") == "" {
		g.t.Errorf("the app got %+v", got)
	}
	v.Open(demo.Issuer + "/account/apps")
	g.look("connected_apps", "one")
	v.Open("/account/apps/withdraw")
	v.Submit("/account/apps/withdraw", nil)
	g.look("connected_apps", "withdrawn")
	v.Open(demo.Issuer + "/logout?client_id=" + rp.id + "&post_logout_redirect_uri=" + rp.own() + "/bye")
	g.look("logout_confirm", "app")
}

// leaveAndReturn looks at sign-out and sign-in.
func (g *gallery) leaveAndReturn(p *person) {
	v := g.v
	v.Open("/signout")
	g.look("logout_confirm")
	v.Submit("signout", nil)
	g.look("logged_out")
	v.Open(rp.authorize(nil))
	g.look("signin", "app")
	v.Submit("", map[string]string{"identifier": "", "password": ""})
	g.look("signin", "errors-empty")
	v.Submit("", map[string]string{"identifier": p.Email, "password": "this is not it, I think"})
	g.look("signin", "errors-wrong")
	v.Submit("", map[string]string{"identifier": p.Email, "password": p.Password})
	g.look("factor")
	v.Submit("", map[string]string{"code": "12 34"})
	g.look("factor", "errors")
	v.Follow("/signin/recovery")
	g.look("factor_recovery")
	v.Submit("", map[string]string{"code": "AAAA-BBBB"})
	g.look("factor_recovery", "errors")
	v.Submit("", map[string]string{"code": p.Recovery[0]})
	v.Open("/account/factors")
	g.look("factors", "code-used")
	v.Open(rp.authorize(map[string]string{"prompt": "login"}))
	g.look("signin", "again")
}

// stranded looks at where people end up by mistake.
func (g *gallery) stranded() {
	v := g.v
	for _, page := range []string{"help", "privacy", "not_government"} {
		v.Open("/" + strings.ReplaceAll(page, "_", "-"))
		g.look(page)
	}
	v.Open("/continue?flow=flw_nothing")
	g.look("flow_expired")
	v.Open("/no-such-page")
	g.look("error", "404")
	v.Open(rp.authorize(map[string]string{"redirect_uri": "https://elsewhere.example/callback?a=a-very-long-address-that-does-not-want-to-break-anywhere-at-all-in-a-narrow-window"}))
	g.look("error", "redirect")
	v.Open(rp.authorize(map[string]string{"client_id": "nobody"}))
	g.look("error", "client")
	for _, path := range []string{"/", "/account/recovery-codes/show", "/signin/enrol", "/signin/codes"} {
		v.Open(demo.Issuer + path)
	}
}
