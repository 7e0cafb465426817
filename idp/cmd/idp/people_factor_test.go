package main

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var (
	peopleSeed  = regexp.MustCompile(`secret=([A-Z2-7]{32})`)
	peopleCodes = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}`)
)

// enrol sets up an authenticator app from a page that offers it, and returns the page after it.
func (p *page) enrol() *page {
	w := p.b.w
	w.Helper()
	m := peopleSeed.FindStringSubmatch(p.body)
	if m == nil {
		w.Fatalf("%s (%d) shows no seed: %s", p.url.Path, p.status, p.text())
	}
	return p.submit("code", w.totpAt(m[1], w.clock.Now()))
}

// codes are the recovery codes that a page shows.
func (p *page) codes() []string {
	all := peopleCodes.FindAllString(p.text(), -1)
	slices.Sort(all)
	return slices.Compact(all)
}

// half is a browser that has proven a password, at the page for the second factor.
func (w *peopleWorld) half(email string) *page {
	w.Helper()
	p := w.browser().get("/account").submit("identifier", email, "password", pass)
	if p.url.Path != "/signin/factor" {
		w.Fatalf("%s is at %s (%d): %s", email, p.url.Path, p.status, p.text())
	}
	return p
}

func (w *peopleWorld) nextStep() { w.clock.Advance(30 * time.Second) }

func TestTOTP_EnrolmentProtectsTheAccountFromThenOn(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	other := w.signedIn(ana)
	b := w.signedIn(ana)
	p := b.get("/account/factors/enrol")
	seed := peopleSeed.FindStringSubmatch(p.body)[1]
	for code, says := range map[string]string{"": "Enter the code", "12345": "6 digits", "abcdef": "6 digits", "000000": "This code is not right", "１２３４５６": "6 digits"} {
		p = p.submit("code", code)
		w.shows(code, p, http.StatusUnprocessableEntity, says)
		if again := peopleSeed.FindStringSubmatch(p.body); again == nil || again[1] != seed {
			t.Fatal("a slip costs a new scan")
		}
	}
	old := b.cookie("idp_session")
	p = p.enrol()
	shown := p.codes()
	if p.url.Path != "/account/recovery-codes/show" || len(shown) != 10 {
		t.Fatalf("at %s with %d codes: %s", p.url.Path, len(shown), p.text())
	}
	if b.cookie("idp_session") == old || !b.isIn() {
		t.Error("the session did not get a new cookie")
	}
	if other.isIn() {
		t.Error("a session that never proved the factor goes on")
	}
	p = p.press("saved", "")
	w.shows("done", p, http.StatusOK, "Your authenticator app is set up.")
	if q := b.get("/account/recovery-codes/show"); len(q.codes()) != 0 {
		t.Error("the codes are shown again")
	}
	if n := len(w.told(ana, "An authenticator app was set up")); n != 1 {
		t.Errorf("the owner was told %d times", n)
	}
	p = w.half(ana)
	w.nextStep()
	if p = p.submit("code", w.totpAt(seed, w.clock.Now())); p.url.Path != "/account" || p.status != http.StatusOK {
		t.Errorf("at %s: %s", p.url.Path, p.text())
	}
}

// The codes of the present step and of its two neighbours open; none does twice, nor one from before the last.
func TestAttack_E08_EachTimeStepOpensOnce(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	try := func(at time.Duration) bool {
		w.clock.Advance(16 * time.Minute) // nobody waits for the failures before
		p := w.half(ben)
		p = p.submit("code", w.totpAt(benSeed, w.clock.Now().Add(at)))
		return p.url.Path == "/account" && p.status == http.StatusOK
	}
	for at, opens := range map[time.Duration]bool{-60 * time.Second: false, -30 * time.Second: true, 0: true, 30 * time.Second: true, 60 * time.Second: false} {
		if got := try(at); got != opens {
			t.Errorf("the code of %v opens: %v", at, got)
		}
	}
	w.clock.Advance(time.Hour)
	code := w.totpAt(benSeed, w.clock.Now())
	if p := w.half(ben).submit("code", code); p.url.Path != "/account" {
		t.Fatal(p.text())
	}
	w.shows("again", w.half(ben).submit("code", code), http.StatusUnprocessableEntity, "used already")
	w.shows("the step before", w.half(ben).submit("code", w.totpAt(benSeed, w.clock.Now().Add(-30*time.Second))), http.StatusUnprocessableEntity, "used already")
	w.nextStep()
	w.shows("in the window of the next", w.half(ben).submit("code", code), http.StatusUnprocessableEntity, "used already")
	if p := w.half(ben).submit("code", w.totpAt(benSeed, w.clock.Now())); p.url.Path != "/account" {
		t.Errorf("the next step: %s", p.text())
	}
}

// race posts one code from many browsers that proved the password and counts who got in.
func (w *peopleWorld) race(n int, path, code string) int {
	w.Helper()
	tabs, forms := make([]*browser, n), make([]url.Values, n)
	to := make([]string, n)
	for i := range tabs {
		p := w.half(ben)
		tabs[i] = p.b
		to[i], forms[i] = p.b.get(path+"?flow="+p.url.Query().Get("flow")).filled("code", code)
	}
	peopleRace(n, func(i int) { tabs[i].once(http.MethodPost, to[i], forms[i]) })
	in := 0
	for _, b := range tabs {
		if b.isIn() {
			in++
		}
	}
	return in
}

func TestAttack_E08_OneCodeOpensOneOfManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	for round := range 3 {
		w.clock.Advance(20 * time.Minute)
		if in := w.race(24, "/signin/factor", w.totpAt(benSeed, w.clock.Now())); in != 1 {
			t.Errorf("round %d: %d got in with one code", round, in)
		}
	}
}

// benCodes are ten fresh recovery codes of Ben's.
func (w *peopleWorld) benCodes(b *browser) []string {
	w.Helper()
	p := b.get("/account/recovery-codes")
	p = p.formTo("/account/recovery-codes").send(p)
	codes := p.codes()
	if len(codes) != 10 {
		w.Fatalf("%d codes at %s: %s", len(codes), p.url.Path, p.text())
	}
	return codes
}

func (w *peopleWorld) recover(code string) *page {
	w.Helper()
	p := w.half(ben)
	return p.b.get("/signin/recovery?flow="+p.url.Query().Get("flow")).submit("code", code)
}

// Each recovery code opens once, however it is typed; renewed and left over ones never do.
func TestAttack_E12_RecoveryCodesOpenOnce(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ben)
	dead := w.benCodes(b)
	codes := w.benCodes(b)
	w.shows("renewed ones", w.recover(dead[0]), http.StatusUnprocessableEntity, "not right, or it was used")
	for i, typed := range []string{codes[0], strings.ToLower(codes[1]), strings.ReplaceAll(codes[2], "-", ""), " " + strings.ReplaceAll(codes[3], "-", " ") + " ", strings.NewReplacer("0", "o", "1", "l").Replace(codes[4])} {
		if p := w.recover(typed); p.url.Path != "/account" || p.status != http.StatusOK {
			t.Errorf("%q: %s", typed, p.text())
		}
		w.shows("the same again", w.recover(codes[i]), http.StatusUnprocessableEntity, "not right, or it was used")
		w.clock.Advance(16 * time.Minute)
	}
	w.clock.Advance(time.Minute)
	told := w.told(ben, "A recovery code was used")
	if len(told) != 5 || !strings.Contains(told[4].text, "5 codes") {
		t.Errorf("the owner was told %d times: %s", len(told), told[len(told)-1].text)
	}
	if in := w.race(24, "/signin/recovery", codes[5]); in != 1 {
		t.Errorf("%d got in with one recovery code", in)
	}
	w.clock.Advance(time.Hour)
	for _, bad := range []string{"0000-0000-0000-0000", codes[6][:18], codes[6] + "0", codes[6][1:] + codes[6][:1], "' OR 1=1 --"} {
		if p := w.recover(bad); p.url.Path == "/account" {
			t.Errorf("%q opens", bad)
		}
		w.clock.Advance(16 * time.Minute)
	}
	b = w.signedIn(ben)
	b.get(hrefTo(w, b.get("/account/factors"), "/account/factors/remove")).press("id", "")
	if n := w.number(`SELECT count(*) FROM recovery_codes WHERE account = ?`, w.people[ben]); n != 0 {
		t.Errorf("%d codes outlive the factor that they stand in for", n)
	}
	if n := len(w.told(ben, "An authenticator app was removed")); n != 1 {
		t.Errorf("the owner was told %d times", n)
	}
}

// Failures are counted where the client cannot reach: a browser that forgets them gains nothing, and classes are apart.
func TestAttack_E11_ForgettingCookiesForgetsNoFailure(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	p := w.half(ben)
	to, v := p.filled("code", "000000")
	recovery, rv := p.b.get("/signin/recovery?flow="+p.url.Query().Get("flow")).filled("code", "0000-0000-0000-0000")
	statuses := make([]int, 12)
	for i := range statuses {
		statuses[i] = p.b.twin().once(http.MethodPost, to, v).status
	}
	if n := w.number(`SELECT count(*) FROM throttles WHERE failures = 5`); n == 0 || slices.Contains(statuses[5:], http.StatusUnprocessableEntity) || slices.Contains(statuses[:5], http.StatusTooManyRequests) {
		t.Errorf("the same cookies, twelve times: %v", statuses)
	}
	v.Set("code", w.totpAt(benSeed, w.clock.Now()))
	if q := p.b.twin().once(http.MethodPost, to, v); q.status != http.StatusTooManyRequests || q.header.Get("Retry-After") == "" {
		t.Errorf("the right code, too early: %d", q.status)
	}
	if q := p.b.twin().once(http.MethodPost, recovery, rv); q.status != http.StatusUnprocessableEntity {
		t.Errorf("a recovery code is another class: %d", q.status)
	}
	half := w.half(ben) // and a password is yet another
	if n := len(w.told(ben, "Failed attempts to sign in")); n != 1 {
		t.Errorf("the owner was told %d times", n)
	}
	w.clock.Advance(time.Second)
	if q := half.submit("code", w.totpAt(benSeed, w.clock.Now())); q.url.Path != "/account" {
		t.Errorf("after the wait: %s", q.text())
	}
}

// Passwords and codes have counters of their own: a right password does not set back those of codes.
func TestTOTP_ARightPasswordForgetsNoWrongCode(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	for range 5 {
		w.half(ben).submit("code", "000000")
	}
	if p := w.half(ben).submit("code", "000000"); p.status != http.StatusTooManyRequests {
		t.Errorf("the sixth wrong code: %d", p.status)
	}
}

// hrefTo returns the first link of a page that begins with prefix.
func hrefTo(w *peopleWorld, p *page, prefix string) string {
	w.Helper()
	_, rest, ok := strings.Cut(p.body, `href="`+prefix)
	if !ok {
		w.Fatalf("%s has no link to %s: %s", p.url.Path, prefix, p.text())
	}
	rest, _, _ = strings.Cut(rest, `"`)
	return prefix + strings.ReplaceAll(rest, "&amp;", "&")
}

// The number of apps is bounded, and the bound holds for many at once.
func TestTOTP_FiveAppsAreTheMost(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ben)
	for range 6 {
		w.nextStep()
		b.get("/account/factors/enrol").enrol()
	}
	if n := w.number(`SELECT count(*) FROM totps WHERE account = ?`, w.people[ben]); n != 5 {
		t.Errorf("%d authenticator apps", n)
	}
	// an account without one takes one of two that are set up at once: the other session never proved it
	one, two := w.signedIn(ana), w.signedIn(ana)
	tabs := []*browser{one, two}
	var to [2]string
	var forms [2]url.Values
	for i, b := range tabs {
		p := b.get("/account/factors/enrol")
		to[i], forms[i] = p.filled("code", w.totpAt(peopleSeed.FindStringSubmatch(p.body)[1], w.clock.Now()))
	}
	var done atomic.Int64
	peopleRace(2, func(i int) {
		if p := tabs[i].once(http.MethodPost, to[i], forms[i]); strings.HasPrefix(p.header.Get("Location"), "/account/recovery-codes/show") {
			done.Add(1)
		}
	})
	if n := w.number(`SELECT count(*) FROM totps WHERE account = ?`, w.people[ana]); n != 1 || done.Load() != 1 {
		t.Errorf("%d apps, %d were told that theirs is set up", n, done.Load())
	}
}
