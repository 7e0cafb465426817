package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/rate"
	"ellis.example/idp/internal/throttle"
)

// small makes every network's share so small that a test can use it up.
func small(s *settings) {
	s.limits = throttle.Limits{
		Begin: rate.PerSecond(1, 5), Form: rate.PerSecond(1, 5), Failure: rate.PerSecond(1, 5),
		SignUpMail: rate.PerHour(4), SignUpMails: rate.PerHour(6), MailQueue: 1000,
	}
}

// unlimited is for tests of what holds even where nothing is limited.
func unlimited(s *settings) { s.limits = throttle.Limits{} }

// from sends requests as the address behind a proxy that is trusted.
func (w *world) from(ip, method, path string, v url.Values, header ...string) answer {
	w.Helper()
	return w.do(method, path, v, append([]string{"X-Forwarded-For", ip}, header...)...)
}

// events counts rows of the audit.
func (w *world) events() (n int) {
	w.Helper()
	w.count(&n, `SELECT count(*) FROM audit_events`)
	return n
}

// refusedFor checks that an answer says when to come back.
func (w *world) refusedFor(what string, a answer, status int) {
	w.Helper()
	if a.status != status || a.header.Get("Retry-After") == "" || a.header.Get("Cache-Control") != "no-store" {
		w.Errorf("%s: %d, Retry-After %q, Cache-Control %q", what, a.status, a.header.Get("Retry-After"), a.header.Get("Cache-Control"))
	}
}

func TestFlood_OneNetworkUsesUpItsOwnShareAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, throughProxy)
	begin := "/authorize?" + request("web").Encode()
	for what, send := range map[string]func(ip string) answer{
		"begin": func(ip string) answer { return w.from(ip, http.MethodGet, begin, nil) },
		"visit": func(ip string) answer { return w.from(ip, http.MethodGet, "/signin", nil) },
		"form":  func(ip string) answer { return w.from(ip, http.MethodPost, "/signin", url.Values{"identifier": {ana}}) },
		"client": func(ip string) answer {
			return w.from(ip, http.MethodPost, "/token", url.Values{"client_id": {"nobody"}})
		},
		"token": func(ip string) answer {
			return w.from(ip, http.MethodGet, "/userinfo", nil, "Authorization", "Bearer x")
		},
		"public": func(ip string) answer { return w.from(ip, http.MethodPost, "/token", guess("spa")) },
		"inspect": func(ip string) answer {
			return w.from(ip, http.MethodPost, "/introspect", url.Values{"client_id": {"nobody"}})
		},
		"revoke": func(ip string) answer {
			return w.from(ip, http.MethodPost, "/revoke", url.Values{"client_id": {"nobody"}})
		},
	} {
		w.clock.Advance(time.Minute)
		for i := range 5 {
			if a := send("192.0.2.7"); a.status == http.StatusTooManyRequests {
				t.Errorf("%s: request %d is refused", what, i)
			}
		}
		before := w.events()
		over := send("192.0.2.7")
		w.refusedFor(what, over, http.StatusTooManyRequests)
		page := strings.HasPrefix(over.header.Get("Content-Type"), "text/html")
		if asPage := what == "begin" || what == "visit" || what == "form"; page != asPage || (!page && over.str("error") != "temporarily_unavailable") {
			t.Errorf("%s: answered as %s: %s", what, over.header.Get("Content-Type"), over.body)
		}
		if n := w.events() - before; n != 0 {
			t.Errorf("%s: a refused request left %d events", what, n)
		}
		if a := send("192.0.2.8"); a.status == http.StatusTooManyRequests {
			t.Errorf("%s: the neighbour is refused, too", what)
		}
		w.clock.Advance(time.Second)
		if a := send("192.0.2.7"); a.status == http.StatusTooManyRequests {
			t.Errorf("%s: still refused after Retry-After", what)
		}
	}
}

// throughProxy trusts the test's own address as a proxy.
func throughProxy(s *settings) { s.proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// guess is what anybody can send in a public client's name.
func guess(client string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {ident.NewToken(ident.RefreshToken)}}
}

func TestFlood_AClientThatIsRightNeverWaitsForOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small)
	refresh := w.tokens(ana, "web").str("refresh_token")
	for range 20 {
		w.do(http.MethodPost, "/token", url.Values{"client_id": {"nobody"}})
	}
	w.refusedFor("strangers", w.do(http.MethodPost, "/token", url.Values{"client_id": {"nobody"}}), http.StatusTooManyRequests)
	for range 20 {
		w.wants("right client", w.machine("machine", "scope", "cases.read"), http.StatusOK, "")
	}
	w.wants("right client, wrong grant", w.refresh("web", "x"), http.StatusBadRequest, "invalid_grant")
	w.wants("right client, right grant", w.refresh("web", refresh), http.StatusOK, "")
}

func TestFlood_StrangersLeaveOneEventAMinuteEvenWhereNothingIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, unlimited)
	unknown := "/authorize?" + request("web", "client_id", "nobody").Encode()
	for what, send := range map[string]func() answer{
		"authorize": func() answer { return w.do(http.MethodGet, unknown, nil) },
		"token":     func() answer { return w.do(http.MethodPost, "/token", url.Values{"client_id": {"nobody"}}) },
		"userinfo":  func() answer { return w.do(http.MethodGet, "/userinfo", nil, "Authorization", "Bearer x") },
	} {
		before := w.events()
		for range 100 {
			send()
		}
		if n := w.events() - before; n != 1 {
			t.Errorf("%s: 100 requests left %d events", what, n)
		}
	}
	before := w.events()
	w.clock.Advance(time.Minute)
	w.must(w.p.strange.Flush(t.Context()))
	if n := w.events() - before; n != 3 {
		t.Fatalf("%d events say how many there were", n)
	}
	var counted int
	w.count(&counted, `SELECT count(*) FROM audit_events WHERE CAST(body AS TEXT) LIKE '%"count":"99"%'`)
	if counted != 3 {
		t.Errorf("%d events name the 99 others", counted)
	}
}

func TestFlood_ThrottledGuessesLeaveOneEventAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, unlimited)
	p := w.browser().get("/signin")
	for range 8 {
		p = p.submit("identifier", ana, "password", "wrong")
	}
	if p.status != http.StatusTooManyRequests {
		t.Fatal("nothing is throttled:", p.status)
	}
	before := w.events()
	for range 50 {
		p = p.submit("identifier", ana, "password", "wrong")
	}
	if n := w.events() - before; n != 0 {
		t.Errorf("50 more left %d events", n)
	}
}

// asks posts the sign-up form for an address that nobody has asked for before.
func (w *world) asks(ip string, n int) answer {
	w.Helper()
	b := w.browser()
	to, v := b.get("/signup").filled("email", fmt.Sprintf("victim%d@example.org", n))
	p := b.once(http.MethodPost, to, v, "X-Forwarded-For", ip)
	return answer{status: p.status, header: p.header, body: p.body}
}

func (w *world) waiting() (n int) {
	w.Helper()
	w.count(&n, `SELECT count(*) FROM outbox WHERE sent_at = 0`)
	return n
}

func TestFlood_SignUpIsNoCannonForMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, throughProxy)
	n := 0
	ask := func(ip string) answer { n++; return w.asks(ip, n) }
	for range 4 {
		if a := ask("192.0.2.7"); a.status != http.StatusSeeOther {
			t.Fatal(a.status, a.body)
		}
	}
	w.refusedFor("a fifth of one network", ask("192.0.2.7"), http.StatusTooManyRequests)
	for range 2 {
		if a := ask("192.0.2.8"); a.status != http.StatusSeeOther {
			t.Fatal("another network", a.status, a.body)
		}
	}
	w.refusedFor("a seventh of all", ask("192.0.2.9"), http.StatusServiceUnavailable)
	if got := w.waiting(); got != 6 {
		t.Errorf("%d mails wait", got)
	}
	w.clock.Advance(time.Hour)
	if a := ask("192.0.2.7"); a.status != http.StatusSeeOther {
		t.Error("an hour later:", a.status)
	}
}

func TestFlood_SignUpEndsWhereMailCannotLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings) { s.limits = throttle.Limits{MailQueue: 3} }, throughProxy)
	for i := range 3 {
		if a := w.asks("192.0.2.7", i); a.status != http.StatusSeeOther {
			t.Fatal(a.status, a.body)
		}
	}
	before := w.events()
	for i := range 5 {
		w.refusedFor("with a full outbox", w.asks("192.0.2.7", 3+i), http.StatusServiceUnavailable)
	}
	if w.waiting() != 3 || w.events() != before {
		t.Errorf("%d mails wait, %d more events", w.waiting(), w.events()-before)
	}
}
