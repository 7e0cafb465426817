package main

import (
	"net/http"
	"net/url"
	"testing"

	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/rate"
	"ellis.example/idp/internal/throttle"
)

// crowd sends requests of a stranger until the share of the network is used up.
func (b *browser) crowd(what string, send func() int) {
	b.w.Helper()
	for range 50 {
		if send() == http.StatusTooManyRequests {
			return
		}
	}
	b.w.Fatalf("%s: nothing is limited", what)
}

// Strangers who use up what their network may begin and send keep nobody out of a browser that they signed in from before.
func TestAttack_F09_ANetworkThatIsUsedUpLetsKnownBrowsersIn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.people(t, func(s *settings) {
			s.limits = throttle.Limits{Begin: rate.PerHour(20), Form: rate.PerHour(20)} // Redis counts by its own clock
		})
		owner := w.signedIn(ana)
		owner.leave()
		stranger := w.browser()
		stranger.crowd("begin", func() int { return stranger.once(http.MethodGet, "/signin", nil).status })
		stranger.crowd("form", func() int {
			return stranger.once(http.MethodPost, "/signin", url.Values{"identifier": {ana}, "password": {"x"}}).status
		})
		if p := w.browser().get("/account"); p.status != http.StatusTooManyRequests {
			t.Fatalf("a browser that nobody knows: %d at %s", p.status, p.url.Path)
		}
		if p := owner.get("/account").submit("identifier", ana, "password", pass); p.url.Path != "/account" || p.status != http.StatusOK {
			t.Errorf("the owner's browser: %d at %s: %s", p.status, p.url.Path, p.text())
		}
		if p := owner.authorize(request("web")); p.status == http.StatusTooManyRequests {
			t.Error("the owner's browser may not begin at an app")
		}
		// its share is bounded, too, and nobody else's
		owner.crowd("the owner's own", func() int { return owner.once(http.MethodGet, "/authorize?"+request("web").Encode(), nil).status })
		stranger.setCookie("idp_device", ident.NewToken(ident.DeviceCookie))
		if p := stranger.once(http.MethodGet, "/signin", nil); p.status != http.StatusTooManyRequests {
			t.Errorf("a device cookie that was made up opens a share: %d", p.status)
		}
	})
}
