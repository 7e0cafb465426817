package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
)

func newPeopleTrail(t *testing.T) (*peopleWorld, *trail) {
	t.Helper()
	w := newPeople(t)
	r := &trail{world: w.world}
	r.hush(pass, benSeed, w.secrets["web"])
	return w, r
}

// hushBrowser notes the secrets of a browser.
func (r *trail) hushBrowser(b *browser) {
	for _, name := range []string{"idp_session", "idp_device", "idp_flow", "idp_signin", "idp_csrf", "idp_signup"} {
		r.hush(b.cookie(name))
	}
}

func TestAudit_ASignUpLeavesOneEventAStep(t *testing.T) {
	t.Parallel()
	w, r := newPeopleTrail(t)
	b := w.browser()
	start := b.get("/signup")
	r.one("asking", "signup.requested", audit.Allowed, "", func() { start.submit("email", "mia@example.org") })
	known := w.browser().get("/signup")
	if e := r.one("asking for a known address", "signup.requested", audit.Allowed, "address_has_account", func() { known.submit("email", ana) }); e.Account != w.people[ana] {
		t.Errorf("it concerns %q", e.Account)
	}
	link := w.linkTo("mia@example.org")
	r.hush(strings.TrimPrefix(link, "/signup/continue?token="), b.cookie("idp_signup"))
	w.nextStep()
	landing := b.get(link)
	proven := r.one("proving", "signup.address_proven", audit.Allowed, "", func() { landing.press("token", "") })
	if proven.Detail["email"] != "" {
		t.Error("the address stands in the audit")
	}
	details := b.get("/signup/details")
	r.all("particulars that are refused", func() { details.submit(peopleDetails("given_name", "")...) })
	created := r.one("the account", "account.created", audit.Allowed, "", func() { b.get("/signup/details").submit(peopleDetails()...) })
	if created.Account == "" || created.Actor != created.Account || created.Session != w.sessionOf(b) || created.Detail["acr"] != "urn:ellis:aal1" {
		t.Errorf("%+v", created)
	}
	for range 4 {
		w.browser().get("/signup").submit("email", ana)
	}
	more := w.browser().get("/signup")
	r.one("one mail too many", "signup.requested", audit.Refused, "too_many_mails", func() { more.submit("email", ana) })
	r.hushBrowser(b)
	r.hush("Mia", "Berg", "1984-03-09", "mia@example.org", ana)
	r.clean()
}

func TestAudit_ASignInLeavesOneEventAStep(t *testing.T) {
	t.Parallel()
	w, r := newPeopleTrail(t)
	known := func(e audit.Stored) {
		t.Helper()
		if e.Account != w.people[ben] {
			t.Errorf("%s concerns %q", e.Type, e.Account)
		}
	}
	form := func() *page { return w.browser().get("/account") }
	p := form()
	known(r.one("a wrong password", "signin.password", audit.Refused, "wrong_password", func() { p.submit("identifier", ben, "password", "a guess of some length") }))
	p = form()
	if e := r.one("an unknown name", "signin.password", audit.Refused, "unknown_name", func() { p.submit("identifier", "nobody@example.org", "password", "a guess of some length") }); e.Account != "" {
		t.Error("it concerns", e.Account)
	}
	for range 4 {
		form().submit("identifier", ben, "password", "a guess of some length")
	}
	p = form()
	known(r.one("too early", "signin.password", audit.Refused, "throttled", func() { p.submit("identifier", ben, "password", pass) }))
	w.clock.Advance(time.Minute)
	p = form()
	half := p
	proven := r.one("the password", "signin.password", audit.Allowed, "", func() { half = p.submit("identifier", ben, "password", pass) })
	known(proven)
	known(r.one("a wrong code", "signin.factor", audit.Refused, "code_wrong", func() { half.submit("code", "000000") }))
	code := w.code()
	in := r.one("the code", "signin.factor", audit.Allowed, "", func() { half.submit("code", code) })
	known(in)
	if proven.Session != "" || in.Session != w.sessionOf(half.b) || in.Txn == "" || in.Txn != proven.Txn || in.Detail["factor"] != "totp" || in.Detail["acr"] != "urn:ellis:aal2" || in.Device == "" {
		t.Errorf("%+v\n%+v", proven, in)
	}
	again := w.half(ben)
	known(r.one("the code again", "signin.factor", audit.Refused, "code_used", func() { again.submit("code", code) }))
	for range 4 {
		again = w.half(ben)
		again.submit("code", "000000")
	}
	again = w.half(ben)
	known(r.one("too many codes", "signin.factor", audit.Refused, "throttled", func() { again.submit("code", "000000") }))
	w.must(w.peopleAdmin().Disable(w.Context(), ben, "lost laptop", "operator:test"))
	w.clock.Advance(time.Hour)
	p = form()
	known(r.one("a disabled account", "signin.password", audit.Refused, "account_disabled", func() { p.submit("identifier", ben, "password", pass) }))
	r.hushBrowser(half.b)
	r.hush(ben, "nobody@example.org", "a guess of some length")
	r.clean()
}

func TestAudit_EachChangeOfAnAccountIsOneEvent(t *testing.T) {
	t.Parallel()
	w, r := newPeopleTrail(t)
	b := w.signedIn(ana)
	other := w.signedIn(ana)
	tokens := w.tokensIn(b, "web")
	r.hush(tokens.str("access_token"), tokens.str("refresh_token"))
	step := func(what, kind, from string, act func(p *page)) audit.Stored {
		t.Helper()
		p := b.get(from)
		id := w.sessionOf(b)
		e := r.one(what, kind, audit.Allowed, "", func() { act(p) })
		if e.Account != w.people[ana] || e.Actor != w.people[ana] || e.Session != id || e.Device == "" {
			t.Errorf("%s: %+v", what, e)
		}
		return e
	}
	if e := step("a profile", "account.changed", "/account/profile", func(p *page) { p.submit("given_name", "Anamaria", "country", "MX") }); e.Detail["fields"] != "country given_name" {
		t.Errorf("%v", e.Detail)
	}
	if e := step("an app withdrawn", "consent.withdrawn", "/account/apps", func(p *page) { p.press("client_id", "web") }); e.Client != "web" {
		t.Errorf("%+v", e)
	}
	if e := step("another session", "session.ended", "/account/sessions", func(p *page) { p.press("all", "others") }); e.Detail["all"] != "yes" || e.Detail["spared"] != w.sessionOf(b) {
		t.Errorf("%+v", e)
	}
	step("a password", "password.changed", "/account/password", func(p *page) { p.submit("current_password", pass, "new_password", "another lamp on that jetty") })
	var codes []string
	if e := step("an app for codes", "factor.enrolled", "/account/factors/enrol", func(p *page) {
		r.hush(peopleSeed.FindStringSubmatch(p.body)[1])
		codes = p.enrol().codes()
	}); e.Detail["factor"] != "totp" || e.Detail["acr"] != "urn:ellis:aal2" {
		t.Errorf("%+v", e)
	}
	step("new recovery codes", "recovery.renewed", "/account/recovery-codes", func(p *page) { codes = append(codes, p.formTo("/account/recovery-codes").send(p).codes()...) })
	step("an app removed", "factor.removed", hrefTo(w, b.get("/account/factors"), "/account/factors/remove"), func(p *page) { p.press("id", "") })
	p := b.get("/account/password")
	if e := r.one("a wrong old password", "signin.password", audit.Refused, "wrong_password", func() {
		p.submit("current_password", "a guess of some length", "new_password", "a third lamp, on no jetty")
	}); e.Account != w.people[ana] {
		t.Errorf("%+v", e)
	}
	id := w.sessionOf(b)
	if e := step("leaving", "session.ended", "/signout", func(p *page) { p.formTo("/signout").send(p) }); e.Session != id {
		t.Errorf("%+v", e)
	}
	for _, x := range []*browser{b, other} {
		r.hushBrowser(x)
	}
	r.hush(codes...)
	r.hush("another lamp on that jetty", "a third lamp, on no jetty", "Anamaria", ana)
	r.clean()
}

// tracing runs "audit trace" on the provider's database and returns the types of what it lists.
func (w *peopleWorld) tracing(id string) (types []string) {
	w.Helper()
	var out, errs bytes.Buffer
	if status := run(w.Context(), []string{"audit", "trace", "--database", "sqlite:" + w.file, "--json", id}, &out, &errs); status != exitOK {
		w.Fatalf("trace %s: %d %s", id, status, errs.String())
	}
	var tr struct{ Events []audit.Stored }
	w.must(json.Unmarshal(out.Bytes(), &tr))
	for _, e := range tr.Events {
		types = append(types, e.Type+" "+string(e.Outcome))
	}
	return types
}

// An operator follows a person by address, user name, account, session, or what an app calls them.
func TestAudit_TraceFindsAPersonByEveryName(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.browser()
	w.signUp(b, "mia@example.org", "username", "mia.berg")
	id := w.number(`SELECT count(*) FROM accounts WHERE username = 'mia.berg'`)
	if id != 1 {
		t.Fatal("no account")
	}
	w.nextStep()
	p := b.authorize(request("web")).submit("decision", "allow")
	_, claimed := claims(w.redeem("web", p.answer(appURI).Get("code")).str("id_token"))
	own := w.sessionOf(b)
	w.nextStep()
	w.browser().get("/account").submit("identifier", "mia.berg", "password", "a guess of some length")
	w.nextStep()
	b.leave()
	var account string
	w.must(w.database().QueryRowContext(w.Context(), `SELECT id FROM accounts WHERE username = 'mia.berg'`).Scan(&account))
	w.must(w.p.store.IndexAudit(w.Context()))
	whole := []string{"account.created allowed", "consent.given allowed", "code.issued allowed", "token.issued allowed", "signin.password refused", "session.ended allowed"}
	for _, who := range []string{"mia@example.org", "MIA@EXAMPLE.ORG", "mia.berg", account} {
		if got := w.tracing(who); !slices.Equal(got, whole) {
			t.Errorf("%s: %v, want %v", who, got, whole)
		}
	}
	session := slices.DeleteFunc(slices.Clone(whole), func(s string) bool { return s == "signin.password refused" })
	if got := w.tracing(own); !slices.Equal(got, session) {
		t.Errorf("the session: %v, want %v", got, session)
	}
	for seen, want := range map[string][]string{"sub": whole, "sid": session} {
		name, _ := claimed[seen].(string)
		if got := w.tracing(name); !slices.Equal(got, want) {
			t.Errorf("%s %q as the app knows it: %v, want %v", seen, name, got, want)
		}
	}
	for _, id := range []string{"eva@example.org", "-akSpmSREzIZUz-RZgt3KVdiP88nQ_oKLy73-ers1GU"} {
		var out, errs bytes.Buffer
		if status := run(w.Context(), []string{"audit", "trace", id, "--database", "sqlite:" + w.file}, &out, &errs); status != exitFailed || !strings.Contains(errs.String(), "nothing is recorded of "+id) {
			t.Errorf("nobody: %d %s", status, errs.String())
		}
	}
	if p := b.get("/account"); p.url.Path != "/signin" || p.status != http.StatusOK {
		t.Errorf("at %s", p.url.Path)
	}
}
