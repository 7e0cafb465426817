package main

import "testing"

// Ben is there, and an app asks for Ana: whatever else it asks for, the pages and the protocol agree on what comes next.
func TestIDTokenHint_AtSomebodyElseNeverLeadsInACircle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hint := w.tokens(ana, "web").str("id_token")
	for name, pairs := range map[string][]string{
		"nothing else": nil, "login": {"prompt", "login"}, "consent": {"prompt", "consent"}, "select_account": {"prompt", "select_account"}, "login consent": {"prompt", "login consent"},
		"max_age 0": {"max_age", "0"}, "two factors": {"acr_values", "urn:ellis:aal2"}, "one factor": {"acr_values", "urn:ellis:aal1"}, "another's address": {"login_hint", ben},
	} {
		b := w.browser()
		b.get("/account").signIn(ben)
		v := request("web", append(pairs, "id_token_hint", hint)...)
		w.later() // a code of Ben's app works once
		w.isRefusal(name+": Ben again", b.at(name, v, "/signin").signIn(ben).answer(appURI), "st-web", "login_required")
		w.later()
		p := b.at(name+", once more", v, "/signin").signIn(ana)
		switch {
		case name == "two factors":
			if p.url.Path != "/signin/enrol" {
				t.Errorf("%s: Ana is at %s", name, p.url.Path)
			}
			continue
		case p.out == "" && p.url.Path == "/consent":
			p = p.submit("decision", "allow")
		}
		w.identityOf(name+": Ana", p.answer(appURI))
	}
}
