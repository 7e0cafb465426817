package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/caseservice/internal/portal"
	"ellis.example/caseservice/internal/rate"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/signin/issuertest"
)

// attempts are the cookies of the sign-ins that a browser has under way.
func (b *browser) attempts() map[string]string {
	out := map[string]string{}
	u, err := url.Parse(b.w.url)
	if err != nil {
		b.w.t.Fatal(err)
	}
	for _, c := range b.jar.Cookies(u) {
		if strings.HasPrefix(c.Name, "portal_signin") {
			out[c.Name] = c.Value
		}
	}
	return out
}

func TestAttempt_StrangersEndNobodysSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	u := b.answer().String()
	for range 150 { // more than anything that is kept for anybody
		w.browser().step("/signin")
	}
	if p := b.step(u); p.status != http.StatusSeeOther || b.cookie("portal_session") == "" {
		t.Errorf("%d %s", p.status, p.body)
	}
	if n, used := w.memory.Len(); n != 1 || used != 1 {
		t.Errorf("%d sessions, %d attempts are kept", n, used)
	}
}

func TestAttempt_ABrowserHasAFewUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	var answers []*url.URL
	for range 6 {
		answers = append(answers, b.answer())
		w.clock.Advance(time.Second)
	}
	size := 0
	for name, value := range b.attempts() {
		size += len(name) + len(value)
	}
	if n := len(b.attempts()); n != 4 || size > 4096 {
		t.Fatalf("%d cookies of %d bytes", n, size)
	}
	if p := b.step(answers[1].String()); p.status != http.StatusGone {
		t.Errorf("the second of six: %d", p.status)
	}
	for _, i := range []int{2, 5} {
		if p := b.step(answers[i].String()); p.status != http.StatusSeeOther {
			t.Errorf("number %d of six: %d", i, p.status)
		}
	}
	if n := len(b.attempts()); n != 2 {
		t.Errorf("%d cookies are left", n)
	}
}

func TestAttempt_IsSealedForOneSignInAndCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var asked atomic.Int64 // requests for tokens
	w.issuer.Misbehave(issuertest.Hooks{Down: func(path string) bool {
		if path == "/token" {
			asked.Add(1)
		}
		return false
	}})
	for what, tamper := range map[string]func(b *browser, name, value string){
		"altered":    func(b *browser, name, value string) { b.setCookie(name, value[1:]+value[:1]) },
		"cut":        func(b *browser, name, value string) { b.setCookie(name, value[:20]) },
		"no base64":  func(b *browser, name, _ string) { b.setCookie(name, "%%%") },
		"of another": func(b *browser, name, _ string) { b.setCookie(name, other(w)) },
	} {
		b := w.browser()
		u := b.answer().String()
		for name, value := range b.attempts() {
			if strings.Contains(value, "cases") {
				t.Error("it can be read")
			}
			tamper(b, name, value)
		}
		if p := b.step(u); p.status != http.StatusGone || b.cookie("portal_session") != "" || asked.Load() != 0 {
			t.Errorf("%s: %d, the issuer was asked %d times", what, p.status, asked.Load())
		}
	}
	b := w.browser()
	u, kept := b.answer().String(), b.attempts()
	if p := b.step(u); p.status != http.StatusSeeOther {
		t.Fatal(p.status)
	}
	for name, value := range kept {
		b.setCookie(name, value)
	}
	b.setCookie("portal_session", "")
	if p := b.step(u); p.status != http.StatusGone {
		t.Errorf("a second time: %d", p.status)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

// other is the sealed attempt of somebody else.
func other(w *world) string {
	b := w.browser()
	b.answer()
	for _, value := range b.attempts() {
		return value
	}
	return ""
}

// Neither answers that cannot be right nor those that say no cost anything that is kept.
func TestAttempt_OnlyWhatIsAboutToBeRedeemedIsKeptAsUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for what, change := range map[string]func(url.Values){
		"another issuer": func(q url.Values) { q.Set("iss", "https://elsewhere.example") },
		"an error":       func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") },
		"neither":        func(q url.Values) { q.Del("code") },
	} {
		b := w.browser()
		if p := b.step(with(b.answer(), change)); p.status < http.StatusBadRequest {
			t.Errorf("%s: %d", what, p.status)
		}
	}
	if _, used := w.memory.Len(); used != 0 {
		t.Errorf("%d are kept as used", used)
	}
}

// crowded is a world in which a network begins and finishes three sign-ins at once, and then one every ten seconds.
func crowded(t *testing.T) *world {
	return newWorldOver(t, func(*portal.Config) {}, func(w *world) []signin.Store {
		w.limit = rate.Limit{Every: 10 * time.Second, Burst: 3}
		return []signin.Store{w.memory}
	})
}

func TestSignIn_ANetworkThatBeginsTooManyIsAskedToWait(t *testing.T) {
	t.Parallel()
	w := crowded(t)
	for range 3 {
		if p := w.browser().step("/signin"); p.status != http.StatusSeeOther {
			t.Fatal(p.status)
		}
	}
	b := w.browser()
	p := b.step("/signin")
	if p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") != "10" || !strings.Contains(p.body, "from your network") || len(b.attempts()) != 0 {
		t.Errorf("%d, Retry-After %q, %d attempts\n%s", p.status, p.header.Get("Retry-After"), len(b.attempts()), p.body)
	}
	other := w.browser()
	other.header["X-Forwarded-For"] = "198.51.100.7"
	if p := other.step("/signin"); p.status != http.StatusSeeOther {
		t.Errorf("another network waits: %d", p.status)
	}
	w.clock.Advance(10 * time.Second)
	b.signIn()
}

func TestCallback_ANetworkThatFinishesTooManyKeepsItsSignIns(t *testing.T) {
	t.Parallel()
	w := crowded(t)
	var all []*browser
	var answers []string
	for i := range 4 {
		b := w.browser()
		b.header["X-Forwarded-For"] = "198.51.100." + string(rune('1'+i)) // each begins elsewhere
		answers = append(answers, b.answer().String())
		delete(b.header, "X-Forwarded-For")
		all = append(all, b)
	}
	for i, b := range all[:3] {
		if p := b.step(answers[i]); p.status != http.StatusSeeOther {
			t.Fatal(p.status)
		}
	}
	for range 2 {
		if p := all[3].step(answers[3]); p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") != "10" {
			t.Errorf("%d, Retry-After %q", p.status, p.header.Get("Retry-After"))
		}
	}
	if _, used := w.memory.Len(); used != 3 {
		t.Errorf("%d are kept as used", used)
	}
	w.clock.Advance(10 * time.Second)
	if p := all[3].step(answers[3]); p.status != http.StatusSeeOther || all[3].cookie("portal_session") == "" {
		t.Errorf("after a while: %d", p.status)
	}
}
