package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
		"altered":    func(b *browser, name, value string) { b.setCookie(name, "A"+value[1:]) },
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
