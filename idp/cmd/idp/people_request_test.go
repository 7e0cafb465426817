package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// raw sends bytes as they are and returns the whole answer.
func (w *peopleWorld) raw(request string) string {
	w.Helper()
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(w.Context(), "tcp", strings.TrimPrefix(w.issuer, "http://"))
	w.must(err)
	defer c.Close()
	w.must(c.SetDeadline(time.Now().Add(5 * time.Second)))
	_, err = c.Write([]byte(request))
	w.must(err)
	var b strings.Builder
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String()
		}
	}
}

// hostHeaders are what proxies and frameworks take a host from.
var hostHeaders = []string{"X-Forwarded-Host", "X-Forwarded-Server", "X-Host", "X-Original-Host", "X-HTTP-Host-Override", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Referer", "Origin-Host"}

// A mailed link is made of the issuer alone: neither the host of the request nor any header names another.
func TestAttack_E22_AMailedLinkIsOfTheIssuerAlone(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.browser()
	to, v := b.get("/signup").filled("email", "")
	for i, h := range hostHeaders {
		email := fmt.Sprintf("p%d@example.net", i)
		v.Set("email", email)
		value := map[string]string{"Forwarded": "host=evil.example;proto=https", "X-Forwarded-Proto": "gopher", "Referer": w.issuer + "/"}[h]
		if value == "" {
			value = "evil.example"
		}
		p := b.once(http.MethodPost, to, v, h, value)
		if p.status != http.StatusSeeOther || strings.Contains(p.header.Get("Location"), "evil") {
			t.Errorf("%s: %d to %q", h, p.status, p.header.Get("Location"))
			continue
		}
		m := w.mailTo(email)
		if !strings.Contains(m.text, w.issuer+"/signup/continue?token=") || strings.Contains(m.text+m.html+m.raw, "evil") || strings.Contains(m.text, "gopher") {
			t.Errorf("%s shows in the mail:\n%s", h, m.text)
		}
	}
	sent := len(w.mails())
	host := strings.TrimPrefix(w.issuer, "http://")
	for _, evil := range []string{"evil.example", "evil.example:80", host + ".evil.example", host + "@evil.example", "evil.example@" + host, "localhost", "127.0.0.1", host + ":80", host + ".", "[::1]"} {
		body := v.Encode()
		answer := w.raw("POST /signup HTTP/1.1\r\nHost: " + evil + "\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body)
		if !strings.HasPrefix(answer, "HTTP/1.1 421 ") && !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
			t.Errorf("Host %s: %.80s", evil, answer)
		}
	}
	if n := len(w.mails()); n != sent {
		t.Error("a request for another host sent a mail")
	}
}

// A host that is malformed, doubled or foreign is refused, and nothing of it comes back.
func TestAttack_I14_AMalformedHostIsNotEchoed(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	host := strings.TrimPrefix(w.issuer, "http://")
	for _, head := range []string{
		"Host: evil-canary", "Host: evil-canary<script>", "Host: evil-canary\x00", "Host: " + host + " evil-canary", "Host: evil-canary\r\nHost: " + host, "Host: " + host + "\r\nHost: evil-canary",
		"Host: " + host + "/evil-canary", "Host: " + host + "?evil-canary", "Host: " + host + "#evil-canary", "Host: evil-canary, " + host, "Host: ", "Host : " + host, " Host: evil-canary", "X: y",
		"Host: \"evil-canary\"", "Host: " + strings.Repeat("evil-canary.", 500), "Host: " + host + "\\evil-canary", "Host: evil-canary%0d%0aX: y", "Host: " + strings.ToUpper(host) + "evil-canary",
	} {
		for _, path := range []string{"/signin", "/account", "/nothing", "/.well-known/openid-configuration"} {
			answer := w.raw("GET " + path + " HTTP/1.1\r\n" + head + "\r\nConnection: close\r\n\r\n")
			status := strings.TrimPrefix(answer, "HTTP/1.1 ")[:3]
			if status != "400" && status != "421" || strings.Contains(answer, "evil-canary") || strings.Contains(answer, "Set-Cookie") {
				t.Errorf("%.60q, GET %s: %.300s", head, path, answer)
			}
		}
	}
	for _, line := range []string{"GET http://evil-canary/signin HTTP/1.1", "GET //evil-canary/signin HTTP/1.1", "GET /\\evil-canary HTTP/1.1", "GET /%2f%2fevil-canary HTTP/1.1", "GET https://user@" + host + "/signin HTTP/1.1"} {
		answer := w.raw(line + "\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
		if strings.Contains(answer, "Location: //") || strings.Contains(answer, "Location: http://evil") || strings.HasPrefix(answer, "HTTP/1.1 200") {
			t.Errorf("%s: %.300s", line, answer)
		}
	}
}

// forwarding are headers that claim to know where a request came from.
var forwarding = []string{
	"X-Forwarded-For", "X-Real-Ip", "Forwarded", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Forwarded-For", "Fastly-Client-Ip", "X-Envoy-External-Address", "Via",
	"X-Remote-Ip", "X-Remote-Addr", "Client-Ip", "X-Originating-Ip",
}

// Nobody but a trusted proxy says where a request came from: not to limits, not to the audit, and garbage changes nothing.
func TestAttack_F11_ForgedForwardingChangesNoVerdict(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	values := []string{"192.0.2.7", "127.0.0.1", "::1", "192.0.2.7, 198.51.100.1", "not an address", "", "for=192.0.2.7;by=10.0.0.1", strings.Repeat("1,", 2000), "192.0.2.7%eth0", "\"192.0.2.7\""}
	b := w.browser()
	to, v := b.get("/signin").filled("identifier", ana, "password", "wrong password of some length")
	var got []int
	for i := range 8 {
		p := b.once(http.MethodPost, to, v, forwarding[i], values[i])
		got = append(got, p.status)
	}
	if fmt.Sprint(got) != "[422 422 422 422 422 429 429 429]" {
		t.Errorf("guesses from one place that claim to come from many: %v", got)
	}
	w.clock.Advance(time.Hour)
	for _, h := range forwarding {
		for _, value := range values {
			w.clock.Advance(16 * time.Minute)
			v.Set("identifier", "nobody@example.org")
			if p := b.once(http.MethodPost, to, v, h, value); p.status != http.StatusUnprocessableEntity && p.status != http.StatusGone {
				t.Errorf("%s: %q: %d", h, value, p.status)
			}
		}
	}
	if n := w.number(`SELECT count(*) FROM audit_events WHERE CAST(body AS TEXT) LIKE '%192.0.2.7%' OR CAST(body AS TEXT) LIKE '%not an address%'`); n != 0 {
		t.Errorf("%d audit events believe the header", n)
	}
	good := w.browser()
	where, form := good.get("/account").filled("identifier", ana, "password", pass)
	if good.once(http.MethodPost, where, form, "X-Forwarded-For", "garbage"); !good.isIn() {
		t.Error("garbage kept a right password out")
	}
}

// A trusted proxy is believed as far as it vouches: the address before the first that is not one of them.
func TestAttack_F11_ATrustedProxyIsBelievedAsFarAsItVouches(t *testing.T) {
	t.Parallel()
	w := newPeople(t, func(s *settings) {
		s.proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	})
	b := w.browser()
	to, v := b.get("/signin").filled("identifier", "", "password", "wrong password of some length")
	for forwarded, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "203.0.113.9, 192.0.2.7": "192.0.2.7", "192.0.2.7, 10.1.2.3": "192.0.2.7", "evil, 192.0.2.8, 10.1.2.3": "192.0.2.8", "evil": "127.0.0.1", "192.0.2.7, evil": "127.0.0.1",
		"": "127.0.0.1", "2001:db8::1": "2001:db8::1", "::ffff:192.0.2.9": "192.0.2.9", "10.1.1.1, 10.2.2.2": "10.1.1.1", "192.0.2.7:443": "127.0.0.1", "fe80::1%eth0": "fe80::1",
	} {
		v.Set("identifier", "n"+fmt.Sprint(len(forwarded))+"@example.org")
		if events := w.during(func() {
			b.once(http.MethodPost, to, v, "X-Forwarded-For", forwarded, "X-Real-Ip", "203.0.113.77", "Forwarded", "for=203.0.113.77")
		}); len(events) != 1 || events[0].IP != want {
			t.Errorf("%q: %+v, want %s", forwarded, events, want)
		}
	}
}

// Nothing that is typed as a name reaches a query, a filter or a pattern as anything but text.
func TestAttack_G16_NoFilterIsInjectedAtSignIn(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.browser()
	to, v := b.get("/account").filled("identifier", "", "password", pass)
	for _, name := range []string{
		"' OR '1'='1", "' OR 1=1 --", "\" OR \"\"=\"", "ana@example.org' --", "ana@example.org'/*", "'; DROP TABLE accounts; --", "' UNION SELECT id FROM accounts --", "%", "_", "ana@example.___", "a%", "*", "*)(uid=*))(|(uid=*", "ana@example.org)(|(password=*)",
		"{\"$ne\": null}", "{\"$gt\": \"\"}", "[$ne]", "ana@example.org\x00", "ana@example.org\n", "\\", "\\'", "${jndi:ldap://x}", "{{7*7}}", "ana@example.org;", "ana@example.org%00", "' || (SELECT '') || '", "1 OR sleep(9)", "ana@example.org OR 1", "\u02bc OR 1=1", "＇ OR 1=1", "0x616e61", "char(97)",
		"ana\u0000@example.org", "ANA@EXAMPLE.ORG' COLLATE NOCASE --", "(select email from accounts limit 1)", "ana\u200b@example.org", "@", "a@", strings.Repeat("'", 1000), "acc_%", w.people[ana],
	} {
		w.clock.Advance(16 * time.Minute)
		v.Set("identifier", name)
		p := b.once(http.MethodPost, to, v)
		if p.status == http.StatusGone { // the flow is old: another one
			to, v = b.get("/account").filled("identifier", name, "password", pass)
			p = b.once(http.MethodPost, to, v)
		}
		want := http.StatusUnprocessableEntity
		if name == "ana@example.org\n" { // white space around a name is none
			want = http.StatusSeeOther
		}
		if p.status != want {
			t.Errorf("%q: %d %s", name, p.status, p.text())
		}
		if want == http.StatusSeeOther {
			b = w.browser()
		} else if b.isIn() {
			t.Fatalf("%q signed somebody in", name)
		}
		for _, sign := range []string{"SQL", "sqlite", "syntax"} {
			if strings.Contains(p.body, sign) {
				t.Errorf("%q: the page says %s", name, sign)
			}
		}
		to, v = b.get("/account").filled("identifier", "", "password", pass)
	}
	if n := w.number(`SELECT count(*) FROM accounts`); n != 2 {
		t.Errorf("%d accounts", n)
	}
}

// The language of a page: what the app asks for, else what the reader chose, else what the browser prefers.
func TestLanguage_IsNegotiatedInThatOrder(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	for _, c := range []struct{ asked, chosen, accept, want string }{
		{"", "", "", "en"}, {"", "", "es", "es"}, {"", "", "es-419,en;q=0.5", "es"}, {"", "", "fr,es;q=0.2", "es"}, {"", "", "fr", "en"}, {"", "", "en;q=0.1,es;q=0.9", "es"},
		{"", "en", "es", "en"}, {"", "es", "en", "es"}, {"", "fr", "es", "es"}, {"es", "en", "en", "es"}, {"en", "es", "es", "en"}, {"fr es-MX", "en", "en", "es"}, {"fr", "es", "en", "es"},
		{"xx-!!", "", "es", "es"}, {strings.Repeat("es ", 200), "", "en", "en"}, {"", "", strings.Repeat("es,", 2000), "en"}, {"", "es-MX", "es", "es"},
	} {
		b := w.browser()
		b.lang = c.accept
		if c.chosen != "" {
			b.setCookie("idp_lang", c.chosen)
		}
		path := "/help"
		if c.asked != "" {
			path += "?ui_locales=" + url.QueryEscape(c.asked)
		}
		p := b.get(path)
		if got := p.header.Get("Content-Language"); got != c.want || !strings.Contains(p.body, `<html lang="`+c.want+`"`) || !strings.Contains(p.header.Get("Vary"), "Accept-Language") {
			t.Errorf("%.40q, %q, %.20q: %s, want %s", c.asked, c.chosen, c.accept, got, c.want)
		}
	}
	b := w.browser()
	p := b.get("/signup?ui_locales=es")
	w.shows("asked", p, http.StatusOK, "Cree una cuenta")
	p = p.press("lang", "en")
	if p.url.RequestURI() != "/signup" {
		t.Errorf("the choice leads to %s", p.url.RequestURI())
	}
	w.shows("chosen", p, http.StatusOK, "Create an account")
}

// The way back after a choice, a sign-in or a sign-out is a path of ours: whatever a browser reads as another origin is none.
func TestAttack_A22_NoWayBackLeavesTheOrigin(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	own := b.get("/help").formTo("/language").values
	for _, back := range []string{
		"//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "https:evil.example", "/\t/evil.example", "\t//evil.example", " //evil.example", "/\r\n/evil.example", "javascript:alert(1)", "data:text/html,x", "",
		"evil.example", "?x", "#x", "/" + strings.Repeat("a", 3000), "///evil.example", "/\x00/evil.example", "http:/evil.example", "//" + strings.TrimPrefix(w.issuer, "http://") + "@evil.example",
	} {
		own.Set("back", back)
		if p := b.once(http.MethodPost, "/language", own); p.header.Get("Location") != "/account" {
			t.Errorf("back %q leads to %q", back, p.header.Get("Location"))
		}
	}
	for _, back := range []string{"/%2f%2fevil.example", "/%5cevil.example", "/..//evil.example", "/.//evil.example", "/account/profile?x=//evil.example", "/help"} {
		own.Set("back", back)
		p := b.once(http.MethodPost, "/language", own)
		to, err := p.url.Parse(p.header.Get("Location"))
		if err != nil || to.Host != p.url.Host || strings.HasPrefix(p.header.Get("Location"), "//") {
			t.Errorf("back %q leads to %q, %v", back, p.header.Get("Location"), err)
		}
	}
	for _, path := range []string{"/account/profile?return_to=https://evil.example", "/signin?return_to=//evil.example&back=//evil.example&rd=//evil.example&next=//evil.example", "/account/sessions?//evil.example", "/account/activity?before=//evil.example"} {
		if p := w.browser().get(path).signIn(ana); p.out != "" || !strings.HasPrefix(p.url.Path, "/account") {
			t.Errorf("%s leads to %q, at %s", path, p.out, p.url)
		}
	}
}

// Patterns are matched without going back (RE2): no library that backtracks is linked, and what makes those hang is answered at once.
func TestAttack_I03_NoPatternBacktracks(t *testing.T) {
	t.Parallel()
	info, ok := debug.ReadBuildInfo()
	if !ok || len(info.Deps) < 10 {
		t.Fatal("this binary does not say what it is made of")
	}
	for _, d := range info.Deps {
		for _, bad := range []string{"regexp2", "pcre", "onig", "rubex"} {
			if strings.Contains(d.Path, bad) {
				t.Errorf("%s is linked", d.Path)
			}
		}
	}
	w := newPeople(t)
	b := w.browser()
	began := time.Now()
	for _, s := range []string{strings.Repeat("a", 20_000) + "!", strings.Repeat("a@", 10_000), strings.Repeat("-.", 10_000) + "@", strings.Repeat(" ", 20_000) + "x", strings.Repeat("0-", 10_000), strings.Repeat("(", 20_000)} {
		for path, field := range map[string]string{"/signup": "email", "/signin": "identifier"} {
			p := b.get(path).submit(field, s, "password", "x")
			if p.status != http.StatusUnprocessableEntity {
				t.Errorf("%s with %.10s…: %d", path, s, p.status)
			}
		}
		b.once(http.MethodGet, "/authorize?client_id=web&redirect_uri="+url.QueryEscape(s[:8_000])+"&scope="+url.QueryEscape(s[:8_000]), nil)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}
