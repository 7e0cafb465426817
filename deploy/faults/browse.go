package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/seed"
)

// browser opens an agent at the provider with cookies, from an address of loopback; "": the usual one.
func (d *driver) browser(cookies, from string) *agent.Agent {
	b := agent.New()
	b.Via(transport(from))
	b.StopAt = func(u *url.URL) bool { return strings.HasPrefix(u.String(), seed.Redirect) }
	if all, err := http.ParseCookie(cookies); err == nil {
		b.SetCookies(d.home(), all...)
	}
	return b
}

// transport keeps no connection, so that a fault meets each request by itself.
func transport(from string) *http.Transport {
	t := &http.Transport{DisableKeepAlives: true}
	if from != "" {
		t.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext
	}
	return t
}

func (d *driver) home() *url.URL {
	u, err := url.Parse(d.sys.issuer())
	if err != nil {
		d.fail(err)
		return &url.URL{}
	}
	return u
}

// cookiesOf are the cookies of a browser, as a header has them.
func (d *driver) cookiesOf(b *agent.Agent) string { return pairs(b.Cookies(d.home())) }

func pairs(cookies []*http.Cookie) string {
	all := make([]string, len(cookies))
	for i, c := range cookies {
		all[i] = c.Name + "=" + c.Value
	}
	return strings.Join(all, "; ")
}

// The cookies that the driver knows.
const (
	sessionCookie = "idp_session"
	deviceCookie  = "idp_device"
)

// one returns a single cookie of a header, as a header has it; "" where there is none.
func one(cookies, name string) string {
	for pair := range strings.SplitSeq(cookies, "; ") {
		if strings.HasPrefix(pair, name+"=") {
			return pair
		}
	}
	return ""
}

// sessionOf is the hash of the session that cookies hold, "" without one.
func sessionOf(cookies string) string {
	_, secret, there := strings.Cut(one(cookies, sessionCookie), "=")
	if !there {
		return ""
	}
	return hashOf(secret)
}

// visit opens a page and reports whether it came. What no page may be like is kept.
func (d *driver) visit(ctx context.Context, b *agent.Agent, ref string) bool {
	began := time.Now()
	err := b.Get(ctx, ref)
	if err == nil && b.Page.Status < http.StatusInternalServerError {
		return b.Page.Status < http.StatusBadRequest
	}
	d.keep(record{Op: opPage, Began: began, Ended: time.Now()}, pageOf(b), err, anything)
	return false
}

func pageOf(b *agent.Agent) agent.Answer {
	return agent.Answer{Status: b.Page.Status, Header: b.Page.Header, Body: []byte(b.Page.Body)}
}

// anything has nothing to say against an answer.
func anything(agent.Answer, *record) string { return "" }

// submit sends a form of the page that a browser shows, and keeps it with its answer; where a redirect leads is not looked at.
// Without such a form nothing is sent and kept, and the record has no Op.
func (d *driver) submit(ctx context.Context, b *agent.Agent, r record, button string, fields map[string]string) record {
	before := b.StopAt
	b.StopAt = func(*url.URL) bool { return true }
	r.Session = sessionOf(d.cookiesOf(b))
	r.Began = time.Now()
	err := b.Submit(ctx, button, fields)
	r.Ended = time.Now()
	b.StopAt = before
	if errors.Is(err, agent.ErrNoForm) {
		return record{}
	}
	return d.keep(r, pageOf(b), err, func(a agent.Answer, r *record) string {
		if next := sessionOf(d.cookiesOf(b)); next != r.Session {
			r.Next = next
		}
		r.Missed = missed(*r, a)
		return ""
	})
}

// leads is where a form leads that did what it says. For some that is so only with a new session.
var leads = map[string]struct {
	to      string
	session bool
}{
	opSignIn: {"/authorize", true}, opFactor: {"/authorize", true}, opPassword: {"/account", true}, opRegister: {"/signin/offer", true},
	opLeave: {"/signed-out", false}, opSignUp: {"/signup/check", false}, opProve: {"/signup/details", false}, opConsent: {"/authorize", false},
}

// missed returns where an answer leads instead, "" if it leads where it should.
func missed(r record, a agent.Answer) string {
	want, known := leads[r.Op]
	if !known {
		return ""
	}
	to, err := url.Parse(a.Header.Get("Location"))
	switch {
	case err != nil || to.Path != want.to:
		return "to " + a.Header.Get("Location")
	case want.session && r.Next == "":
		return "no session"
	}
	return ""
}
