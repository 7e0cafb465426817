package portal_test

import (
	"fmt"
	"net/http"
	"strings"
)

// check holds an answer of the portal to what is true of all of them.
func (w *world) check(r *http.Request, p page) {
	w.t.Helper()
	asset := strings.HasPrefix(r.URL.Path, "/assets/")
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Access-Control-Allow-Origin": "",
		"Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := p.header.Get(name); got != want {
			w.t.Errorf("%s %s: %s is %q", r.Method, r.URL.Path, name, got)
		}
	}
	if !asset {
		w.checkPage(r, p)
	}
	for _, c := range p.header.Values("Set-Cookie") {
		if !strings.Contains(c, "; Path=/") || !strings.Contains(c, "; HttpOnly") || !strings.Contains(c, "; SameSite=Lax") || strings.Contains(c, "Domain=") {
			w.t.Errorf("%s: cookie %q", r.URL.Path, c)
		}
	}
	text := p.body + fmt.Sprint(p.header)
	for _, secret := range w.issuer.Secrets() {
		if strings.Contains(text, secret) {
			w.t.Errorf("%s %s hands a token to the browser", r.Method, r.URL.Path)
		}
	}
}

func (w *world) checkPage(r *http.Request, p page) {
	w.t.Helper()
	if p.header.Get("Cache-Control") != "no-store" {
		w.t.Errorf("%s may be stored", r.URL.Path)
	}
	if p.header.Get("Cross-Origin-Opener-Policy") != "same-origin" {
		w.t.Errorf("%s shares its window", r.URL.Path)
	}
	csp := p.header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, part) {
			w.t.Errorf("%s: policy %q", r.URL.Path, csp)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
		w.t.Errorf("%s: policy %q", r.URL.Path, csp)
	}
	if p.body != "" && p.header.Get("Content-Type") != "text/html; charset=utf-8" {
		w.t.Errorf("%s: type %q", r.URL.Path, p.header.Get("Content-Type"))
	}
	if p.body != "" && !strings.Contains(p.body, `href="/not-government"`) {
		w.t.Errorf("%s does not say that it is no government site", r.URL.Path)
	}
}
