package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ellis.example/caseservice/internal/portal"
)

// evil are return addresses that some parser takes for another origin, or that lead to something that acts.
var evil = []string{
	"https://evil.example/", "http://evil.example", "//evil.example", "///evil.example", "////evil.example/", `/\evil.example`, `\/evil.example`,
	`\\evil.example`, `/\/evil.example`, "https:evil.example", "https:/evil.example", "https:///evil.example", "HTTPS://EVIL.EXAMPLE", "javascript:alert(1)",
	"JaVaScRiPt:alert(1)//", "data:text/html,x", "vbscript:x", "\t//evil.example", "/\t/evil.example", "/\n/evil.example", "/\r/evil.example", " //evil.example",
	"/ /evil.example", "\x00//evil.example", "/\x00/evil.example", "%2f%2fevil.example", "/%2fevil.example", "/%2Fevil.example", "/%5cevil.example", "/%5Cevil.example",
	"/%09/evil.example", "/%0d%0aLocation:%20https://evil.example", "/cases%0d%0aSet-Cookie:x=1", "/cases\r\nSet-Cookie: x=1", "/%00/evil.example", "/cases/..//evil.example",
	"/cases/../..//evil.example", "/cases/%2e%2e//evil.example", "/./\\evil.example", "/.//evil.example", "/cases//evil.example", "/cases/%2f%2fevil.example",
	"@evil.example", "/@evil.example", "user@evil.example", ":80@evil.example", ".evil.example", "evil.example", "?//evil.example", "#//evil.example", "/#@evil.example",
	"/cases#//evil.example", "//evil.example/cases", "//evil.example\\@portal.example", "//portal.example@evil.example", "http://127.0.0.1@evil.example/", "//127.0.0.1.evil.example",
	`/cases?a=\evil.example`, "/cases?a=\u00e9", "/cases?a=\x7f", "/cases/%252f%252fevil.example", "/cases/%25%32%66evil.example",
	"/cases/\u2028//evil.example", "/\u2215evil.example", "/\uff0f\uff0fevil.example", "\u3000//evil.example", "/\u00a0/evil.example", "//\u3002evil.example",
	"/signout", "/callback?code=x&state=y", "/callback", "/signin?return_to=//evil.example", "/signin", "/language", "/claim/send", "/assets/ellis.css", "/cases/../signout",
	"/cases/%2e%2e/signout", "/cases/./x", "/cases/..", "/Cases", "/claim/", "/claim/review/x", "/nothing", "", "/cases/%zz", "/" + strings.Repeat("a", 2000), "/cases/" + strings.Repeat("a", 2000),
}

func TestAttack_A20_AReturnAddressNeverLeavesTheOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	host := strings.TrimPrefix(w.url, "http://")
	for _, s := range append([]string{"//" + host, w.url + "/cases", "//" + host + ".evil.example", w.url + "evil.example", w.url + "@evil.example"}, evil...) {
		b := w.browser()
		p := b.get("/signin?" + url.Values{"return_to": {s}}.Encode())
		if p.status != http.StatusOK || p.at() != "/cases" {
			t.Errorf("%q leads to %s", s, p.url)
		}
		if p = b.step("/signin?" + url.Values{"return_to": {s}}.Encode()); p.header.Get("Location") != "/cases" { // signed in already
			t.Errorf("%q leads to %q", s, p.header.Get("Location"))
		}
	}
	for _, s := range []string{"/", "/cases", "/cases/cas_1", "/claim", "/claim/review", "/help", "/cases?after=%2F%2Fevil.example", "/privacy"} {
		if p := w.browser().step("/signin?" + url.Values{"return_to": {s}}.Encode()); p.status != http.StatusSeeOther {
			t.Fatal(p.status)
		}
		if got := portal.OwnPath(s); got != s {
			t.Errorf("%q becomes %q", s, got)
		}
	}
}

func TestAttack_A22_TheWayBackOfTheLanguageSwitchNeverLeavesTheOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	token := b.get("/help").form(t, "/language").Get("csrf_token")
	for _, s := range evil {
		if s == "/signout" { // a page that asks
			continue
		}
		p := b.send(b.request(http.MethodPost, "/language", url.Values{"csrf_token": {token}, "lang": {"es"}, "back": {s}}))
		if p.status == http.StatusBadRequest && strings.ContainsRune(s, '\x00') {
			continue
		}
		if p.status != http.StatusSeeOther || p.header.Get("Location") != "/" {
			t.Errorf("%q leads to %q (%d)", s, p.header.Get("Location"), p.status)
		}
	}
	for _, s := range []string{"/help", "/cases?after=x", "/signed-out", "/signout"} {
		p := b.send(b.request(http.MethodPost, "/language", url.Values{"csrf_token": {token}, "lang": {"es"}, "back": {s}}))
		if p.header.Get("Location") != s {
			t.Errorf("%q leads to %q", s, p.header.Get("Location"))
		}
	}
}

// A page that shows the address that it was asked for offers it as the way back only after the same test.
func TestErrorPages_LinkToNoOtherOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"//evil.example/cases", "/cases/%2f%2fevil.example", "/cases?x=\"><script>", "/cases/%22%3E%3Cscript%3E", "/%5c%5cevil.example"} {
		p := w.browser().get(w.url + path)
		if p.status < 400 && p.url.Host != strings.TrimPrefix(w.url, "http://") || strings.Contains(p.body, `href="//`) || strings.Contains(p.body, "<script>") || strings.Contains(p.body, `href="\`) {
			t.Errorf("%s: %d at %s\n%s", path, p.status, p.url, p.body)
		}
	}
}

func FuzzOwnPath(f *testing.F) {
	for _, s := range evil {
		f.Add(s)
	}
	f.Add("/cases?after=abc")
	base, err := url.Parse("https://portal.example/callback")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := portal.OwnPath(s)
		u, err := base.Parse(got)
		if err != nil || u.Scheme != "https" || u.Host != "portal.example" || u.User != nil || u.Fragment != "" {
			t.Fatalf("%q leads to %v", s, u)
		}
		if got != s && got != "/cases" {
			t.Fatalf("%q became %q", s, got)
		}
		if len(got) > 1 && (got[1] == '/' || got[1] == '\\') || strings.ContainsAny(got, "\\\r\n\t\x00 ") {
			t.Fatalf("%q is let through", got)
		}
		// As browsers read it: tabs and line ends fall out, a backslash is a slash (WHATWG URL §4.4).
		seen := strings.ReplaceAll(strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(strings.TrimSpace(got)), `\`, "/")
		if !strings.HasPrefix(seen, "/") || strings.HasPrefix(seen, "//") {
			t.Fatalf("a browser reads %q", seen)
		}
	})
}
