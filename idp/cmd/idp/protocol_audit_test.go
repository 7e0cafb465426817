package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ellis.example/idp/internal/audit"
)

// trail are the tools of a test of what the audit says.
type trail struct {
	*world
	secrets []string // must be nowhere in it
}

// hush notes what no record may hold.
func (r *trail) hush(s ...string) {
	for _, one := range s {
		if one != "" {
			r.secrets = append(r.secrets, one)
		}
	}
}

// one fails the test unless an act leaves exactly one event, of that type, outcome and reason.
func (r *trail) one(what, kind string, outcome audit.Outcome, reason string, act func()) audit.Stored {
	r.Helper()
	list := r.all(what, act, kind)
	if len(list) != 1 {
		return audit.Stored{}
	}
	e := list[0]
	if e.Outcome != outcome || e.Reason != reason || e.IP != "127.0.0.1" || !strings.HasPrefix(e.Request, "req_") {
		r.Errorf("%s: %s %s %q from %q in %q", what, e.Type, e.Outcome, e.Reason, e.IP, e.Request)
	}
	return e
}

// all fails the test unless an act leaves exactly events of these types, in this order.
func (r *trail) all(what string, act func(), kinds ...string) []audit.Stored {
	r.Helper()
	list := r.during(act)
	var got []string
	for _, e := range list {
		got = append(got, e.Type)
	}
	if strings.Join(got, " ") != strings.Join(kinds, " ") {
		r.Errorf("%s left %v, want %v", what, got, kinds)
		return nil
	}
	return list
}

// clean fails the test if a secret stands in the audit or in the log.
func (r *trail) clean() {
	r.Helper()
	rows, err := r.database().QueryContext(r.Context(), `SELECT CAST(body AS TEXT) FROM audit_events`)
	r.must(err)
	defer rows.Close()
	text := r.log.String()
	n := 0
	for rows.Next() {
		var body string
		r.must(rows.Scan(&body))
		text += body
		n++
	}
	r.must(rows.Err())
	if n == 0 || len(r.secrets) < 5 {
		r.Fatalf("%d records, %d secrets: this shows nothing", n, len(r.secrets))
	}
	for _, s := range r.secrets {
		if strings.Contains(text, s) {
			r.Errorf("%.12q… stands in the audit or the log", s)
		}
	}
}

func newTrail(t *testing.T) *trail {
	t.Helper()
	r := &trail{world: newWorld(t)}
	r.hush(pass, verifier, r.template.secrets["web"], r.template.secrets["post"], r.template.secrets["machine"])
	return r
}

func TestAudit_ASignInIsOneTransactionFromRequestToUserInfo(t *testing.T) {
	t.Parallel()
	r := newTrail(t)
	b := r.browser()
	var p *page
	var a url.Values
	signin := r.one("the sign-in", "signin.password", audit.Allowed, "", func() { p = b.authorize(request("web", "scope", "openid profile offline_access")).signIn(ana) })
	given := r.all("the consent", func() { a = p.submit("decision", "allow").answer(appURI) }, "consent.given", "code.issued")
	r.hush(a.Get("code"), b.cookie("idp_session"), b.cookie("idp_flow"), b.cookie("idp_device"), b.cookie("idp_csrf"))
	if given == nil {
		t.FailNow()
	}
	var first, second answer
	issued := r.one("the code", "token.issued", audit.Allowed, "", func() { first = r.redeem("web", a.Get("code")) })
	refreshed := r.one("the refresh", "token.refreshed", audit.Allowed, "", func() { second = r.refresh("web", first.str("refresh_token")) })
	read := r.one("UserInfo", "userinfo.read", audit.Allowed, "", func() { r.userinfo(second.str("access_token")) })
	var silent url.Values
	again := r.one("single sign-on", "code.issued", audit.Allowed, "", func() { silent = b.authorize(request("web", "scope", "openid")).answer(appURI) })
	for _, t := range []answer{first, second} {
		r.hush(t.str("access_token"), t.str("refresh_token"), t.str("id_token"))
	}
	r.hush(silent.Get("code"))

	for i, e := range []audit.Stored{signin, given[0], given[1], issued, refreshed, read} {
		if e.Txn == "" || e.Txn != signin.Txn || e.Client != "web" || e.Account != r.people[ana] || e.Session == "" || e.Session != signin.Session {
			t.Errorf("event %d, %s: txn %q, client %q, account %q, session %q", i, e.Type, e.Txn, e.Client, e.Account, e.Session)
		}
	}
	if again.Txn == signin.Txn || again.Session != signin.Session || again.Grant == given[1].Grant {
		t.Error("another request is another transaction and grant in the same session:", again)
	}
	for i, pair := range []struct {
		e     audit.Stored
		token answer
	}{{issued, first}, {refreshed, second}} {
		_, c := claims(pair.token.str("access_token"))
		if pair.e.JTI != c["jti"] || pair.e.Grant != given[1].Grant || pair.e.Family == "" || pair.e.Seen == nil || pair.e.Seen.Audience != c["aud"] || pair.e.Seen.Subject != c["sub"] || pair.e.Seen.Session != c["sid"] || pair.e.Seen.Txn != c["txn"] {
			t.Errorf("token %d: %+v does not name %v", i, pair.e, c)
		}
	}
	_, c := claims(second.str("access_token"))
	if read.JTI != c["jti"] || issued.Family != refreshed.Family || issued.JTI == refreshed.JTI {
		t.Error(read.JTI, issued.Family, refreshed.Family)
	}
	r.clean()
}

func TestAudit_EachRefusalAtTheAuthorizationEndpointIsOneEvent(t *testing.T) {
	t.Parallel()
	r := newTrail(t)
	b := r.browser()
	ask := func(pairs ...string) func() { return func() { b.authorize(request("web", pairs...)) } }
	stray := r.one("an unregistered redirect", "authorize.refused", audit.Refused, "redirect_uri_unregistered", ask("redirect_uri", "https://evil.example/\r\ncb"))
	if stray.Client != "" || stray.Detail["client_id"] != "web" || strings.ContainsAny(stray.Detail["redirect_uri"], "\r\n") {
		t.Error(stray)
	}
	r.one("an unknown client", "authorize.refused", audit.Refused, "client_unknown", ask("client_id", "nobody"))
	for reason, pairs := range map[string][]string{
		"invalid_scope": {"scope", "nonsense"}, "invalid_target": {"resource", "https://nobody.example"}, "unsupported_response_type": {"response_type", "token"},
		"invalid_request": {"max_age", "x"}, "request_not_supported": {"request", "x"}, "login_required": {"prompt", "none"},
	} {
		e := r.one(reason, "authorize.refused", audit.Refused, reason, ask(pairs...))
		if e.Client != "web" || e.Account != "" {
			t.Error(reason, e)
		}
	}
	if list := r.during(ask()); len(list) != 0 {
		t.Error("a request that waits for a person decides nothing yet:", list)
	}
	p := b.authorize(request("web")).signIn(ana)
	list := r.all("not allowed", func() { p.submit("decision", "deny") }, "consent.refused", "authorize.refused")
	if len(list) == 2 && (list[1].Reason != "access_denied" || list[1].Txn != list[0].Txn || list[1].Flow != list[0].Flow || list[0].Account != r.people[ana]) {
		t.Error(list)
	}
	r.clean()
}

func TestAudit_EachRefusalAtTheTokenEndpointIsOneEvent(t *testing.T) {
	t.Parallel()
	r := newTrail(t)
	b := r.browser()
	code := func() string { c := b.newCode(ana, "web"); r.hush(c); return c }
	c := code()
	r.one("a wrong verifier", "token.refused", audit.Refused, "code_verifier", func() { r.redeem("web", c, "code_verifier", strings.Repeat("x", 43)) })
	c = code()
	r.one("another client", "token.refused", audit.Refused, "invalid_grant", func() { r.redeem("post", c) })
	a := r.redeem("web", c)
	reuse := r.one("a code twice", "token.reuse", audit.Refused, "code_reused", func() { r.redeem("web", c) })
	if reuse.Grant == "" || reuse.Client != "web" || reuse.Txn == "" {
		t.Error(reuse)
	}
	r.one("no code", "token.refused", audit.Refused, "code_form", func() { r.redeem("web", "x") })
	r.hush(a.str("refresh_token"), a.str("access_token"))
	r.one("revoked", "token.refused", audit.Refused, "revoked", func() { r.refresh("web", a.str("refresh_token")) })
	a = r.redeem("web", code())
	e := r.one("another client's refresh token", "token.refused", audit.Refused, "refresh_foreign", func() { r.refresh("post", a.str("refresh_token")) })
	if e.Client != "post" || e.Account != "" {
		t.Error("a thief's failure is its own:", e)
	}
	r.one("a wider scope", "token.refused", audit.Refused, "invalid_scope", func() { r.refresh("web", a.str("refresh_token"), "scope", "cases.write") })
	next := r.refresh("web", a.str("refresh_token"))
	r.refresh("web", next.str("refresh_token"))
	reuse = r.one("a refresh token twice", "token.reuse", audit.Refused, "refresh_reused", func() { r.refresh("web", a.str("refresh_token")) })
	if reuse.Family == "" || reuse.Grant == "" || reuse.Account != r.people[ana] {
		t.Error(reuse)
	}
	r.one("an unknown refresh token", "token.refused", audit.Refused, "refresh_unknown", func() { r.refresh("web", "ert_x") })
	r.one("a grant type", "token.refused", audit.Refused, "unsupported_grant_type", func() { r.as("web", "/token", url.Values{"grant_type": {"password"}, "password": {pass}}) })
	r.one("a scope of others", "token.refused", audit.Refused, "invalid_scope", func() { r.machine("key", "scope", "cases.write") })
	wrong := r.one("a wrong secret", "client.refused", audit.Refused, "invalid_client", func() {
		r.do(http.MethodPost, "/token", machineForm(), "Authorization", basicOf("machine", "ecs_guess-of-somebody"))
	})
	if wrong.Client != "machine" || wrong.Actor != "" {
		t.Error("who failed to prove that they are the client is not its actor:", wrong)
	}
	r.hush("ecs_guess-of-somebody")
	assertion := r.assertion("ES256", nil)
	r.hush(assertion)
	r.proven(assertion)
	for name, act := range map[string]func(){
		"for a token": func() { r.proven(assertion) },
		"for a refresh token": func() {
			r.do(http.MethodPost, "/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"ert_x"}, "client_assertion_type": {assertionKind}, "client_assertion": {assertion}})
		},
		"about a token": func() {
			r.do(http.MethodPost, "/introspect", url.Values{"token": {"x"}, "client_assertion_type": {assertionKind}, "client_assertion": {assertion}})
		},
		"against a token": func() {
			r.do(http.MethodPost, "/revoke", url.Values{"token": {"x"}, "client_assertion_type": {assertionKind}, "client_assertion": {assertion}})
		},
	} {
		if e := r.one("a replayed assertion "+name, "client.refused", audit.Refused, "assertion_replayed", act); e.Client != "key" || e.Actor != "" {
			t.Error(e)
		}
	}
	code2 := b.newCode(ana, "key")
	r.one("a replayed assertion with a good code", "client.refused", audit.Refused, "assertion_replayed", func() {
		f := redemption("key", code2, "client_assertion_type", assertionKind, "client_assertion", assertion)
		r.wants("replay", r.do(http.MethodPost, "/token", f), http.StatusUnauthorized, "invalid_client")
	})
	if got := r.redeem("key", code2); got.status != http.StatusOK {
		t.Error("a replayed assertion used the code up:", got.body)
	}
	r.hush(code2)
	r.clean()
}

func TestAudit_EachAnswerAboutATokenIsOneEvent(t *testing.T) {
	t.Parallel()
	r := newTrail(t)
	b := r.browser()
	a := r.redeem("web", b.newCode(ana, "web"))
	info := r.redeem("web", b.newCode(ana, "web", "scope", "openid"))
	r.hush(a.str("access_token"), a.str("refresh_token"), info.str("access_token"), info.str("id_token"))
	_, c := claims(a.str("access_token"))
	about := func(client, path, token string) func() {
		return func() { r.as(client, path, url.Values{"token": {token}}) }
	}
	for name, e := range map[string]audit.Stored{
		"introspected": r.one("by the API", "token.introspected", audit.Allowed, "", about("cases", "/introspect", a.str("access_token"))),
		"foreign":      r.one("by another", "token.introspected", audit.Refused, "foreign", about("letters", "/introspect", a.str("access_token"))),
	} {
		if e.JTI != c["jti"] || e.Txn == "" || e.Account != r.people[ana] || e.Grant == "" {
			t.Error(name, e)
		}
	}
	r.one("nothing like a token", "token.introspected", audit.Refused, "inactive", about("cases", "/introspect", "guess-of-somebody"))
	r.hush("guess-of-somebody")
	e := r.one("UserInfo for an API's token", "userinfo.refused", audit.Refused, "invalid_token", func() { r.userinfo(a.str("access_token")) })
	if e.JTI != c["jti"] || e.Client != "web" {
		t.Error(e)
	}
	e = r.one("UserInfo for nothing like a token", "userinfo.refused", audit.Refused, "invalid_token", func() { r.userinfo("guess-of-somebody") })
	if e.JTI != "" || e.Client != "" {
		t.Error(e)
	}
	var m answer
	e = r.one("a machine", "token.issued", audit.Allowed, "", func() { m = r.machine("machine") })
	r.hush(m.str("access_token"))
	if _, c := claims(m.str("access_token")); e.JTI != c["jti"] || e.Actor != "client:machine" || e.Txn == "" || e.Seen.Txn != c["txn"] || e.Account != "" {
		t.Error(e, c)
	}
	r.one("another's token", "token.revoked", audit.Refused, "foreign", about("post", "/revoke", a.str("access_token")))
	r.one("nothing like a token", "token.revoked", audit.Refused, "unknown", about("web", "/revoke", "guess-of-somebody"))
	e = r.one("an access token", "token.revoked", audit.Allowed, "", about("web", "/revoke", a.str("access_token")))
	if e.JTI != c["jti"] || e.Account != r.people[ana] || e.Client != "web" {
		t.Error(e)
	}
	e = r.one("a refresh token", "token.revoked", audit.Allowed, "", about("web", "/revoke", a.str("refresh_token")))
	if e.Family == "" || e.Grant == "" {
		t.Error(e)
	}
	b.get("/account/apps")
	e = r.one("withdrawn", "consent.withdrawn", audit.Allowed, "", func() { b.withdraw("web") })
	if e.Client != "web" || e.Account != r.people[ana] || e.Actor != r.people[ana] {
		t.Error(e)
	}
	e = r.one("signed out", "session.ended", audit.Allowed, "", func() { b.get(leave("client_id", "web")).confirm() })
	if e.Client != "web" || e.Account != r.people[ana] || e.Session == "" {
		t.Error(e)
	}
	r.clean()
}
