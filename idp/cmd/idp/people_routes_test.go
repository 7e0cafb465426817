package main

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/mux"
)

// Who comes to a page.
const (
	nobody   = iota // no cookie at all
	halfway         // the password is proven, the second factor is not
	signedIn        // with the password, which is all that the account has
)

// peopleRoute says what each visitor gets by GET: a status, or the path that they are sent to.
type peopleRoute struct {
	get  [3]string
	post string // what a signed-in person's POST without a token gets; empty: the route takes no POST
}

const toSignIn = "/continue"

// peopleRoutes are all routes that people see. A route that is not here fails the test.
var peopleRoutes = map[string]peopleRoute{
	"/":                            {[3]string{"/account", "/account", "/account"}, ""},
	"/signup":                      {[3]string{"200", "200", "200"}, "403"},
	"/signup/check":                {[3]string{"/signup", "/signup", "/signup"}, ""},
	"/signup/continue":             {[3]string{"410", "410", "410"}, "/signup/continue"},
	"/signup/details":              {[3]string{"/signup", "/signup", "/signup"}, "410"},
	"/signin":                      {[3]string{toSignIn, toSignIn, toSignIn}, "410"},
	"/signin/factor":               {[3]string{"410", "410", "410"}, "410"},
	"/signin/recovery":             {[3]string{"410", "410", "410"}, "410"},
	"/signin/enrol":                {[3]string{"410", "410", "410"}, "410"},
	"/signin/offer":                {[3]string{"/signin", "/signin", "200"}, ""},
	"/signin/codes":                {[3]string{"410", "410", "410"}, "410"},
	"/consent":                     {[3]string{"410", "410", "410"}, "410"},
	"/continue":                    {[3]string{"410", "410", "410"}, ""},
	"/account":                     {[3]string{toSignIn, toSignIn, "200"}, ""},
	"/account/profile":             {[3]string{toSignIn, toSignIn, "200"}, "403"},
	"/account/password":            {[3]string{toSignIn, toSignIn, "200"}, "403"},
	"/account/factors":             {[3]string{toSignIn, toSignIn, "200"}, ""},
	"/account/factors/enrol":       {[3]string{toSignIn, toSignIn, "200"}, "403"},
	"/account/factors/remove":      {[3]string{toSignIn, toSignIn, "/account/factors"}, "403"},
	"/account/recovery-codes":      {[3]string{toSignIn, toSignIn, "200"}, "403"},
	"/account/recovery-codes/show": {[3]string{toSignIn, toSignIn, "/account/factors"}, "403"},
	"/account/sessions":            {[3]string{toSignIn, toSignIn, "200"}, ""},
	"/account/sessions/end":        {[3]string{toSignIn, toSignIn, "/account/sessions"}, "403"},
	"/account/apps":                {[3]string{toSignIn, toSignIn, "200"}, ""},
	"/account/apps/withdraw":       {[3]string{toSignIn, toSignIn, "/account/apps"}, "403"},
	"/account/activity":            {[3]string{toSignIn, toSignIn, "200"}, ""},
	"/signout":                     {[3]string{"/signed-out", "/signed-out", "200"}, "/signout"},
	"/signed-out":                  {[3]string{"200", "200", "200"}, ""},
	"/language":                    {[3]string{"405", "405", "405"}, "403"},
	"/help":                        {[3]string{"200", "200", "200"}, ""},
	"/privacy":                     {[3]string{"200", "200", "200"}, ""},
	"/not-government":              {[3]string{"200", "200", "200"}, ""},
}

// protocolRoutes are those that apps use; their own tests hold them to their rules.
var protocolRoutes = []string{
	"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks", "/token", "/userinfo", "/revoke", "/introspect", "/events/poll", "/authorize", "/logout", "/logout/confirm", "/assets/",
}

// outcome is a status, or where a redirect leads.
func (p *page) outcome() string {
	if to := p.header.Get("Location"); to != "" {
		path, _, _ := strings.Cut(to, "?")
		return path
	}
	return strconv.Itoa(p.status)
}

// routes lists every path that the provider serves.
func (w *peopleWorld) routes() (out []string) {
	w.Helper()
	w.must(w.p.router.Walk(func(r *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := r.GetPathTemplate()
		out = append(out, path)
		return err
	}))
	slices.Sort(out)
	return slices.Compact(out)
}

func TestAttack_H04_EachRouteAsksEachVisitor(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	half := w.half(ben).b
	visitors := []*browser{nobody: w.browser(), halfway: half, signedIn: w.signedIn(ana)}
	var seen []string
	for _, path := range w.routes() {
		if slices.Contains(protocolRoutes, path) {
			continue
		}
		want, known := peopleRoutes[path]
		if !known {
			t.Errorf("%s is not in the table of routes", path)
			continue
		}
		seen = append(seen, path)
		for i, b := range visitors {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				p := b.twin().once(method, path, nil)
				if got := p.outcome(); got != want.get[i] {
					t.Errorf("%s %s as visitor %d: %s, want %s", method, path, i, got, want.get[i])
				}
				if method == http.MethodHead && p.body != "" {
					t.Errorf("HEAD %s has a body", path)
				}
			}
		}
		if want.post == "" {
			w.refusesMethod(visitors[signedIn], http.MethodPost, path)
		} else if p := visitors[signedIn].twin().once(http.MethodPost, path, url.Values{}); p.outcome() != want.post {
			t.Errorf("POST %s without a token: %s, want %s", path, p.outcome(), want.post)
		}
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch, "TRACE", "GETX"} {
			w.refusesMethod(visitors[signedIn], method, path)
		}
		if p := visitors[nobody].twin().once(http.MethodOptions, path, nil); p.status != http.StatusNoContent || p.header.Get("Allow") == "" || p.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("OPTIONS %s: %d, Allow %q", path, p.status, p.header.Get("Allow"))
		}
	}
	if len(seen) != len(peopleRoutes) {
		t.Errorf("%d routes of %d in the table exist: %v", len(seen), len(peopleRoutes), seen)
	}
}

// refusesMethod wants 405 as a page that says what there is.
func (w *peopleWorld) refusesMethod(b *browser, method, path string) {
	w.Helper()
	p := b.twin().once(method, path, nil)
	if p.status != http.StatusMethodNotAllowed || !strings.Contains(p.header.Get("Allow"), "OPTIONS") || strings.Contains(p.header.Get("Allow"), method) {
		w.Errorf("%s %s: %d, Allow %q", method, path, p.status, p.header.Get("Allow"))
	}
	w.properPage(method+" "+path, p)
}

// properPage fails the test unless an answer is a page as people know them, with all the headers of one.
func (w *peopleWorld) properPage(what string, p *page) {
	w.Helper()
	for _, words := range []string{"This is not a government website", "Help", "Privacy"} {
		if !strings.Contains(p.text(), words) {
			w.Errorf("%s (%d) is no page: %.200s", what, p.status, p.body)
			return
		}
	}
	w.pageHeaders(what, p)
}

// pageHeaders fails the test unless an answer has what keeps a page from being framed, sniffed, cached or read by others.
func (w *peopleWorld) pageHeaders(what string, p *page) {
	w.Helper()
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
	} {
		if got := p.header.Values(name); len(got) != 1 || got[0] != want {
			w.Errorf("%s: %s is %q, want %q", what, name, got, want)
		}
	}
	csp := p.header.Values("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "script-src 'self'", "form-action 'self'"} {
		if len(csp) != 1 || !strings.Contains(csp[0], part) {
			w.Errorf("%s: Content-Security-Policy is %q, without %s", what, csp, part)
		}
	}
	if len(csp) == 1 && (strings.Contains(csp[0], "unsafe") || strings.Contains(csp[0], "*")) {
		w.Errorf("%s: %s", what, csp[0])
	}
	for _, h := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Server", "X-Powered-By"} {
		if p.header.Get(h) != "" {
			w.Errorf("%s has %s: %s", what, h, p.header.Get(h))
		}
	}
	for _, c := range p.header.Values("Set-Cookie") {
		if !strings.Contains(c, "; HttpOnly; SameSite=Lax") || !strings.Contains(c, "Path=/;") || strings.Contains(c, "Domain") {
			w.Errorf("%s sets %s", what, c)
		}
	}
}

// Every page, good or bad, in every state.
func TestAttack_D08_EveryPageIsGuarded(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b, half := w.signedIn(ana), w.half(ben)
	flow := "?flow=" + half.url.Query().Get("flow")
	for path, want := range peopleRoutes {
		for i, visitor := range []*browser{w.browser(), half.b, b} {
			if !strings.HasPrefix(want.get[i], "/") {
				w.properPage(path, visitor.twin().once(http.MethodGet, path, nil, "Origin", "https://evil.example"))
			}
		}
	}
	for what, p := range map[string]*page{
		"a sign-in":        w.browser().get("/signin"),
		"a second factor":  half,
		"a recovery code":  half.b.get("/signin/recovery" + flow),
		"a wrong code":     half.submit("code", "000000"),
		"a wrong password": w.browser().get("/signin").submit("identifier", ana, "password", "x"),
		"a dead link":      w.browser().get("/signup/continue?token=x"),
		"a foreign flow":   w.browser().get("/signin/factor" + flow),
		"no page":          w.browser().get("/nothing/here"),
		"a check":          w.browser().get("/signup").submit("email", "mia@example.org"),
		"details":          w.prove(w.browser(), "eva@example.org"),
		"consent":          b.authorize(request("web")),
		"a bad request":    b.authorize(url.Values{"client_id": {"nobody"}}),
	} {
		w.properPage(what, p)
	}
}

// What cannot be read is answered by a page, too.
func TestRoutes_WhatCannotBeReadGetsAPage(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	to, v := b.get("/account/profile").filled("given_name", "Mallory")
	twice := url.Values{}
	for k, one := range v {
		twice[k] = one
	}
	twice["given_name"] = []string{"Mallory", "Mallory"}
	long := url.Values{"given_name": {strings.Repeat("a", 65<<10)}}
	for what, c := range map[string]struct {
		p      *page
		status int
	}{
		"JSON":           {b.once(http.MethodPost, to, v, "Content-Type", "application/json"), http.StatusUnsupportedMediaType},
		"multipart":      {b.once(http.MethodPost, to, v, "Content-Type", "multipart/form-data; boundary=x"), http.StatusUnsupportedMediaType},
		"text":           {b.once(http.MethodPost, to, v, "Content-Type", "text/plain"), http.StatusUnsupportedMediaType},
		"no type":        {b.once(http.MethodPost, to, v, "Content-Type", ""), http.StatusUnsupportedMediaType},
		"a field twice":  {b.once(http.MethodPost, to, twice), http.StatusBadRequest},
		"bad text":       {b.once(http.MethodPost, to, url.Values{"given_name": {"\xff"}}), http.StatusBadRequest},
		"64 KiB":         {b.once(http.MethodPost, to, long), http.StatusRequestEntityTooLarge},
		"no page":        {b.once(http.MethodGet, "/account/", nil), http.StatusNotFound},
		"a deeper page":  {b.once(http.MethodGet, "/account/profile/x", nil), http.StatusNotFound},
		"a matrix":       {b.once(http.MethodGet, "/account;x=/profile", nil), http.StatusNotFound},
		"another case":   {b.once(http.MethodGet, "/Account", nil), http.StatusNotFound},
		"encoded":        {b.once(http.MethodGet, "/account%2Fprofile", nil), http.StatusNotFound},
		"a packed form":  {b.once(http.MethodPost, to, v, "Content-Encoding", "gzip"), http.StatusUnsupportedMediaType},
		"from elsewhere": {b.once(http.MethodPost, to, v, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
	} {
		if c.p.status != c.status {
			t.Errorf("%s: %d, want %d", what, c.p.status, c.status)
		}
		w.properPage(what, c.p)
	}
	b.lang = "es"
	if p := b.get("/nothing"); !strings.Contains(p.text(), "Página no encontrada") {
		t.Errorf("not in the language of its reader: %s", p.text())
	}
	if n := w.number(`SELECT count(*) FROM accounts WHERE given_name = 'Mallory'`); n != 0 {
		t.Error("one of them changed something")
	}
}

// No page is exempt from the check of where a form was sent from.
func TestAttack_D15_NoRouteIsExemptFromTheCrossOriginCheck(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	for path, want := range peopleRoutes {
		if want.post == "" {
			continue
		}
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "anything"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			for _, to := range []string{path, path + "?x", path + "?flow=flw_00000000000000000000000000"} {
				p := b.twin().once(http.MethodPost, to, url.Values{}, header...)
				w.shows(to, p, http.StatusForbidden, "This came from another website")
			}
		}
	}
}
