package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// crossSite posts a form as a browser does from another site: our cookies, which are SameSite=Lax, stay behind.
func (w *world) crossSite(path string, v url.Values) answer {
	w.Helper()
	return w.do(http.MethodPost, path, v, "Sec-Fetch-Site", "cross-site", "Origin", "https://app.example")
}

func TestLogout_APostFromAnotherSiteNeverSaysSignedOutWhileTheSessionLives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	hint := w.redeem("web", b.newCode(ana, "web")).str("id_token")
	for name, v := range map[string]url.Values{
		"with a hint": {"id_token_hint": {hint}, "post_logout_redirect_uri": {byeURI}, "state": {"a b&c"}}, "by client_id": {"client_id": {"web"}, "post_logout_redirect_uri": {byeURI}, "state": {"a b&c"}},
	} {
		a := w.crossSite("/logout", v)
		to := a.header.Get("Location")
		if a.status != http.StatusSeeOther || !strings.HasPrefix(to, "/logout?") || strings.Contains(to, hint) {
			t.Fatalf("%s: %d to %s", name, a.status, to)
		}
		if p := w.browser().get(to); p.out != byeURI+"?state=a+b%26c" {
			t.Errorf("%s, with nobody signed in: %d to %q", name, p.status, p.out)
		}
		p := b.get(to)
		if p.status != http.StatusOK || p.out != "" || !b.isIn() {
			t.Fatalf("%s: nobody was asked: %d to %q", name, p.status, p.out)
		}
		if name != "with a hint" {
			continue
		}
		if p = p.confirm(); p.out != byeURI+"?state=a+b%26c" || b.isIn() {
			t.Errorf("%s: after the confirmation %q", name, p.out)
		}
		b.newCode(ana, "web") // and in again
	}
	w.wants("a foreign target", w.crossSite("/logout", url.Values{"client_id": {"web"}, "post_logout_redirect_uri": {"https://evil.example/"}}), http.StatusBadRequest, "")
	if a := w.crossSite("/logout", url.Values{"client_id": {"web"}, "post_logout_redirect_uri": {byeURI}, "state": {strings.Repeat("é", 4000)}}); a.status != http.StatusRequestEntityTooLarge {
		t.Error("a state that fits no address:", a.status)
	}
}
