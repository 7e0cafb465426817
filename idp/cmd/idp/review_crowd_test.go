package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ellis.example/idp/internal/flow"
)

// crowded fills the store of flows with those of strangers, and one half more.
func (w *world) crowded() {
	w.Helper()
	full := url.Values{"state": {strings.Repeat("x", flow.MaxSize-1500)}}
	for i := range 3 * (64 << 20) / flow.MaxSize {
		w.must(w.p.volatile.PutFlow(w.Context(), flow.Flow{ID: fmt.Sprint("flw_", i), ExpiresAt: w.clock.Now().Add(flow.Lifetime), Request: full}))
	}
}

// stored returns the one stored flow of a browser.
func (b *browser) stored(p *page) flow.Flow {
	b.w.Helper()
	f, err := b.w.p.volatile.GetFlow(b.w.Context(), p.url.Query().Get("flow"))
	b.w.must(err)
	return f
}

func TestCrowd_AFlowKeepsLittleWhateverIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	long := strings.Repeat("y", 2000)
	p := b.authorize(request("web", "display", long, "login_hint", long, "ui_locales", long, "acr_values", long, "registration", "", "state", "s"))
	f := b.stored(p)
	if n := len(f.Request.Encode()) + len(fmt.Sprint(f.Want)); n > 1000 {
		t.Errorf("a request of 8 KB of nothing keeps %d bytes: %v %v", n, f.Request, f.Want)
	}
	out := p.signIn(ana).press("decision", "allow").answer(appURI)
	if out.Get("state") != "s" || out.Get("code") == "" {
		t.Error(out)
	}
}

func TestCrowd_StrangersKeepNobodyFromSigningIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	half, plain, between := w.browser(), w.browser(), w.browser()
	waiting := half.authorize(request("web")).submit("identifier", ben, "password", pass) // asked for a code
	consent := plain.authorize(request("web")).submit("identifier", ana, "password", pass)
	if waiting.url.Path != "/signin/factor" || consent.url.Path != "/consent" {
		t.Fatal(waiting.url, consent.url)
	}
	p := between.authorize(request("web"))
	to, v := p.filled("identifier", ana, "password", pass)
	between.once(http.MethodPost, to, v) // the redirect is not followed yet
	known := w.withConsent(ana)          // signed in before; another app asks now
	asked := known.authorize(request("post", "scope", "openid cases.read"))
	w.crowded()
	if out := asked.press("decision", "allow").answer(redirects["post"]); out.Get("code") == "" {
		t.Error("who was signed in before:", out)
	}
	if q := between.once(http.MethodGet, "/authorize?flow="+url.QueryEscape(p.url.Query().Get("flow")), nil); q.status != http.StatusSeeOther {
		t.Errorf("who signed in just now: %d %s", q.status, q.text())
	}
	fresh := w.browser()
	if code := fresh.newCode(ana, "web"); code == "" {
		t.Error("nobody can begin")
	} else {
		w.wants("its code", w.redeem("web", code), http.StatusOK, "")
	}
	if out := consent.press("decision", "allow").answer(appURI); out.Get("code") == "" {
		t.Error("who had signed in already:", out)
	}
	if out := waiting.submit("code", w.code()).press("decision", "allow").answer(appURI); out.Get("code") == "" {
		t.Error("who had given a password already:", out)
	}
}
