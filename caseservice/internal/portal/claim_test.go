package portal_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ellis.example/caseservice/internal/signin/issuertest"
)

// strong makes the person at the browser one who signed in with a second factor just now.
func (w *world) strong(sub string) {
	w.issuer.SetPerson(issuertest.Person{Subject: sub, ACR: issuertest.AAL2, AuthTime: w.clock.Now(), CanAAL2: true})
}

func TestClaim_StepsUpShowsWhatWillBeSentAndSendsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, "")
	b := w.browser()
	b.signIn()
	before := b.cookie("portal_session")
	p := b.claim(" ioe-000-000-0001 ", strings.ToLower(c.code))
	if p.status != http.StatusOK || p.at() != "/claim/review" || !strings.Contains(p.body, c.code) {
		t.Fatalf("%d at %s over %q\n%s", p.status, p.at(), p.trail, p.body)
	}
	asked := w.issuer.Requests()
	if q := asked[len(asked)-1]; len(asked) != 2 || q.Get("max_age") != "300" || q.Get("acr_values") != issuertest.AAL2 {
		t.Errorf("asked %v", q)
	}
	if b.cookie("portal_session") == before {
		t.Error("the session has the identifier of before the step-up")
	}
	p = b.submit(p, "/claim/send")
	if p.status != http.StatusOK || p.at() != "/cases/"+c.id || !strings.Contains(p.body, "now in your account") {
		t.Fatalf("%d at %s\n%s", p.status, p.at(), p.body)
	}
	if p := b.get(p.at()); strings.Contains(p.body, "now in your account") {
		t.Error("it is said again")
	}
	if p := b.get("/claim"); strings.Contains(p.body, c.code) {
		t.Error("the code is still in the form")
	}
	_, keys := w.door.seen()
	if len(keys) != 2 || keys[0] != keys[1] || len(keys[0]) < 26 {
		t.Errorf("keys %q", keys)
	}
	old := w.browser() // the session of before is dead at the server: D02
	old.setCookie("portal_session", before)
	if p := old.get("/cases"); p.status != http.StatusUnauthorized {
		t.Errorf("the old session: %d", p.status)
	}
	if n := w.issuer.Live(); n != 1 {
		t.Errorf("%d refresh tokens can be used", n)
	}
}

func TestClaim_NeedsNoStepUpAfterAFreshSecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strong(ana)
	c := w.seed(1, "")
	b := w.browser()
	b.signIn()
	if p := b.claim(c.receipt, c.code); p.at() != "/cases/"+c.id || len(p.trail) != 1 {
		t.Errorf("%d at %s over %q", p.status, p.at(), p.trail)
	}
	w.clock.Advance(6 * time.Minute)
	other := w.seed(2, "")
	if p := b.claim(other.receipt, other.code); p.at() != "/claim/review" {
		t.Errorf("a stale sign-in: %d at %s", p.status, p.at())
	}
}

func TestClaim_WhatIsWrongStandsBesideItsFieldAndNothingIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strong(ana)
	c, other := w.seed(1, ""), w.seed(2, "sub-other")
	slip := c.code[:len(c.code)-1] + flip(c.code[len(c.code)-1])
	b := w.browser()
	b.signIn()
	asked, _ := w.door.seen()
	for _, tc := range []struct {
		name, receipt, code string
		status              int
		fields              []string
		asks                bool
	}{
		{"nothing", "", "", 422, []string{"receipt", "code"}, false},
		{"no receipt", "", c.code, 422, []string{"receipt"}, false},
		{"no code", c.receipt, "", 422, []string{"code"}, false},
		{"half a receipt", "IOE12", c.code, 422, []string{"receipt"}, false},
		{"half a code", c.receipt, "ABCD", 422, []string{"code"}, false},
		{"a slip in the code", c.receipt, slip, 422, []string{"code"}, false},
		{"markup", `"><script>alert(1)</script>`, `'"<b>`, 422, []string{"receipt", "code"}, false},
		{"another's case", other.receipt, other.code, 422, []string{"receipt"}, true},
		{"unknown receipt", "IOE9999999999", c.code, 422, []string{"receipt"}, true},
	} {
		p := b.claim(tc.receipt, tc.code)
		if p.status != tc.status || p.at() != "/claim" || !strings.Contains(p.body, `id="errors"`) || !strings.Contains(p.body, "<title>Error:") {
			t.Fatalf("%s: %d at %s\n%s", tc.name, p.status, p.at(), p.body)
		}
		for _, f := range []string{"receipt", "code"} {
			want := slices.Contains(tc.fields, f)
			if strings.Contains(p.body, `id="`+f+`-error"`) != want || strings.Contains(p.body, `href="#`+f+`"`) != want ||
				strings.Contains(p.body, `aria-describedby="`+f+`-error `+f+`-hint"`) != want {
				t.Errorf("%s: the error of %s: want %v\n%s", tc.name, f, want, p.body)
			}
		}
		for name, typed := range map[string]string{"receipt": tc.receipt, "code": tc.code} {
			if got := p.form(t, "/claim").Get(name); squeeze(got) != squeeze(typed) {
				t.Errorf("%s: %s shows %q", tc.name, name, got)
			}
		}
		now, _ := w.door.seen()
		if (len(now) > len(asked)) != tc.asks || strings.Contains(p.body, "<script>a") {
			t.Errorf("%s: the API was asked %v", tc.name, now[len(asked):])
		}
		asked = now
	}
	if p := b.claim(c.receipt, c.code); p.at() != "/cases/"+c.id {
		t.Errorf("after all that: %d at %s", p.status, p.at())
	}
	if p := b.claim(c.receipt, c.code); p.at() != "/cases" || !strings.Contains(p.body, "already in your account") {
		t.Errorf("again: %d at %s", p.status, p.at())
	}
}

var dashes = regexp.MustCompile(`[\s-]`)

func squeeze(s string) string { return strings.ToUpper(dashes.ReplaceAllString(s, "")) }

func TestClaim_TriesThatAreUsedUpSayWhenToComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strong(ana)
	b := w.browser()
	b.signIn()
	var p page
	for i := range 6 {
		c := w.seed(10+i, "sub-other")
		p = b.claim(c.receipt, c.code)
	}
	if p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") == "" || !strings.Contains(p.body, "hour") {
		t.Errorf("%d %v\n%s", p.status, p.header, p.body)
	}
	if p.form(t, "/claim").Get("receipt") == "" {
		t.Error("what was typed is lost")
	}
}

func TestClaim_PersonWhoStopsAtTheIssuerLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, "")
	b := w.browser()
	b.signIn()
	for name, answer := range map[string]string{"denied": "access_denied", "cannot": "unmet_authentication_requirements"} {
		w.issuer.Misbehave(issuertest.Hooks{Answer: func(q url.Values) { q.Del("code"); q.Set("error", answer) }})
		p := b.claim(c.receipt, c.code)
		if p.status >= 500 || name == "denied" && (p.at() != "/claim?stopped=1" || !strings.Contains(p.body, "nothing was sent")) {
			t.Errorf("%s: %d at %s\n%s", name, p.status, p.at(), p.body)
		}
		p = b.get("/claim")
		if f := p.form(t, "/claim"); squeeze(f.Get("receipt")) != c.receipt || squeeze(f.Get("code")) != squeeze(c.code) {
			t.Errorf("%s: the form has %v", name, f)
		}
	}
	w.issuer.Misbehave(issuertest.Hooks{})
	p := b.submit(b.claim(c.receipt, c.code), "/claim/send")
	if p.at() != "/cases/"+c.id {
		t.Errorf("%d at %s", p.status, p.at())
	}
}

func TestClaim_IssuerThatGivesLessThanWasAskedEndsInAPageNotInALoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, "")
	for name, h := range map[string]issuertest.Hooks{
		"weak":      {},
		"stale":     {IDToken: func(m map[string]any) { m["acr"], m["auth_time"] = issuertest.AAL2, start.Add(-10*time.Minute).Unix() }},
		"undated":   {IDToken: func(m map[string]any) { m["acr"] = issuertest.AAL2; delete(m, "auth_time") }},
		"no acr":    {IDToken: func(m map[string]any) { delete(m, "acr") }},
		"other acr": {IDToken: func(m map[string]any) { m["acr"] = "urn:ellis:aal2 " }},
	} {
		w.issuer.SetPerson(issuertest.Person{Subject: ana, ACR: issuertest.AAL1, AuthTime: w.clock.Now()}) // has no second factor
		w.issuer.Misbehave(issuertest.Hooks{})
		b := w.browser()
		b.signIn()
		w.issuer.Misbehave(h)
		before := len(w.issuer.Requests())
		p := b.claim(c.receipt, c.code)
		if p.status != http.StatusForbidden || !strings.Contains(p.body, `href="/claim"`) {
			t.Errorf("%s: %d at %s\n%s", name, p.status, p.at(), p.body)
		}
		if n := len(w.issuer.Requests()) - before; n != 1 {
			t.Errorf("%s: it led to the issuer %d times", name, n)
		}
		if p := b.get("/cases"); p.status != http.StatusOK {
			t.Errorf("%s: the session is gone: %d", name, p.status)
		}
	}
}

// An API that is never content leads to the issuer once for each time that the person presses the button.
func TestClaim_ChallengeWithoutEndIsOneSignInAPress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, "")
	b := w.browser()
	b.signIn()
	w.door.answers(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		rw.Header().Set("WWW-Authenticate", `Bearer error="insufficient_user_authentication", acr_values="urn:ellis:aal2", max_age="300"`)
		rw.WriteHeader(http.StatusUnauthorized)
		return true
	})
	p := b.claim(c.receipt, c.code)
	for press := 2; press <= 4; press++ {
		if p.at() != "/claim/review" || len(w.issuer.Requests()) != press {
			t.Fatalf("%d at %s, %d requests", p.status, p.at(), len(w.issuer.Requests()))
		}
		p = b.submit(p, "/claim/send")
	}
	if n, _ := w.issuer.Counts(); n != 5 {
		t.Errorf("%d sign-ins", n)
	}
}

func TestClaim_SomebodyElseAtTheIssuerGetsNeitherSessionNorClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, "")
	mine := w.seed(2, ana)
	b := w.browser()
	b.signIn()
	p := b.get("/claim")
	w.strong("sub-bob")
	p = b.submit(p, "/claim", "receipt", c.receipt, "code", c.code)
	if p.status != http.StatusForbidden || strings.Contains(p.body, c.code) {
		t.Fatalf("%d at %s\n%s", p.status, p.at(), p.body)
	}
	if p := b.get("/cases/" + mine.id); p.status != http.StatusUnauthorized {
		t.Errorf("the session of before goes on: %d", p.status)
	}
	b.signIn()
	if p := b.get("/claim"); strings.Contains(p.body, c.code) || strings.Contains(p.body, c.receipt) {
		t.Error("the next person sees the claim")
	}
}

func TestClaim_PressedManyTimesAtOnceIsOneClaimAndOneAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strong(ana)
	c := w.seed(1, "")
	b := w.browser()
	b.signIn()
	form := b.get("/claim").form(t, "/claim")
	form.Set("receipt", c.receipt)
	form.Set("code", c.code)
	pages := make([]page, 8)
	var wg sync.WaitGroup
	for i := range pages {
		wg.Go(func() { pages[i] = b.send(b.request(http.MethodPost, "/claim", form)) })
	}
	wg.Wait()
	for _, p := range pages {
		to := p.header.Get("Location")
		if p.status != http.StatusSeeOther || to != "/cases" && to != "/cases/"+c.id {
			t.Errorf("%d to %q\n%s", p.status, to, p.body)
		}
	}
	if p := b.get("/cases"); p.status != http.StatusOK || strings.Count(p.body, `href="/cases/cas_`) < 1 {
		t.Errorf("%d %s", p.status, p.body)
	}
}

func TestClaim_ReviewPressedTwiceLeadsToTheCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, "")
	b := w.browser()
	b.signIn()
	review := b.claim(c.receipt, c.code)
	form := review.form(t, "/claim/send")
	if p := b.send(b.request(http.MethodPost, "/claim/send", form)); p.header.Get("Location") != "/cases/"+c.id {
		t.Fatalf("%d %v", p.status, p.header)
	}
	if p := b.post("/claim/send", form); p.at() != "/cases" || !strings.Contains(p.body, "now in your account") {
		t.Errorf("%d at %s", p.status, p.at())
	}
}

// What the review page shows is what is sent: if another tab put something else into the session, it is shown first.
func TestClaim_ReviewOfAnotherTabIsShownBeforeItIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.seed(1, ""), w.seed(2, "")
	b := w.browser()
	b.signIn()
	first := b.claim(one.receipt, one.code)
	stale := first.form(t, "/claim/send")
	w.issuer.SetPerson(issuertest.Person{Subject: ana, ACR: issuertest.AAL1, AuthTime: w.clock.Now(), CanAAL2: true})
	w.clock.Advance(6 * time.Minute)
	b.claim(two.receipt, two.code)
	_, before := w.door.seen()
	stale.Set("csrf_token", b.get("/claim/review").form(t, "/claim/send").Get("csrf_token"))
	p := b.post("/claim/send", stale)
	_, after := w.door.seen()
	if p.at() != "/claim/review" || !strings.Contains(p.body, two.code) || len(after) != len(before) {
		t.Errorf("%d at %s", p.status, p.at())
	}
}

func TestClaim_SessionThatEndsOnTheWayKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, "")
	b := w.browser()
	b.signIn()
	form := b.get("/claim")
	w.clock.Advance(16 * time.Minute)
	p := b.submit(form, "/claim", "receipt", c.receipt, "code", c.code)
	if p.at() != "/claim/review" || !strings.Contains(p.body, c.code) {
		t.Fatalf("from the form: %d at %s\n%s", p.status, p.at(), p.body)
	}
	w.clock.Advance(16 * time.Minute)
	if p = b.submit(p, "/claim/send"); p.at() != "/claim/review" || !strings.Contains(p.body, c.code) {
		t.Fatalf("from the review: %d at %s\n%s", p.status, p.at(), p.body)
	}
	if p = b.submit(p, "/claim/send"); p.at() != "/claim/review" { // the sign-in had no second factor
		t.Fatalf("%d at %s", p.status, p.at())
	}
	if p = b.submit(p, "/claim/send"); p.at() != "/cases/"+c.id {
		t.Errorf("%d at %s", p.status, p.at())
	}
	form = b.get("/claim")
	w.clock.Advance(16 * time.Minute)
	p = b.submit(form, "/claim", "receipt", "IOE12", "code", "")
	if p.at() != "/claim" || p.form(t, "/claim").Get("receipt") != "IOE12" {
		t.Errorf("half typed: %d at %s\n%s", p.status, p.at(), p.body)
	}
	form = b.get("/claim")
	w.clock.Advance(16 * time.Minute)
	if p = b.submit(form, "/claim", "receipt", strings.Repeat("9", 4000), "code", ""); p.status != http.StatusUnauthorized {
		t.Errorf("too much to keep: %d", p.status)
	}
}

func TestClaim_ApiThatFailsKeepsTheClaimAndItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strong(ana)
	c := w.seed(1, "")
	b := w.browser()
	b.signIn()
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusBadGateway} {
		w.door.answers(func(rw http.ResponseWriter, _ *http.Request) bool { rw.WriteHeader(status); return true })
		p := b.claim(c.receipt, c.code)
		if p.status != http.StatusServiceUnavailable || squeeze(p.form(t, "/claim").Get("code")) != squeeze(c.code) {
			t.Errorf("%d: %d at %s", status, p.status, p.at())
		}
	}
	w.door.answers(func(rw http.ResponseWriter, r *http.Request) bool { // the first answer gets lost on the way
		if r.Method == http.MethodPost {
			w.door.next.ServeHTTP(discard{http.Header{}}, r)
			rw.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	})
	b.claim(c.receipt, c.code)
	w.door.answers(nil)
	if p := b.claim(c.receipt, c.code); p.at() != "/cases/"+c.id {
		t.Errorf("%d at %s\n%s", p.status, p.at(), p.body)
	}
	_, keys := w.door.seen()
	if len(slices.Compact(keys)) != 1 {
		t.Errorf("keys %q", keys)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func TestClaim_WaitsForTheFirstPressThatIsUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strong(ana)
	c := w.seed(1, "")
	b := w.browser()
	b.signIn()
	tries := 0
	w.door.answers(func(rw http.ResponseWriter, r *http.Request) bool {
		if tries++; r.Method != http.MethodPost || tries > 2 && tries < 10 {
			return false
		}
		rw.Header().Set("Content-Type", "application/problem+json")
		rw.WriteHeader(http.StatusConflict)
		_, _ = rw.Write([]byte(`{"status":409,"code":"request_in_progress"}`))
		return true
	})
	if p := b.claim(c.receipt, c.code); p.at() != "/cases/"+c.id {
		t.Errorf("%d at %s\n%s", p.status, p.at(), p.body)
	}
	tries = 10 // from now on for ever
	if p := b.claim(c.receipt, c.code); p.status != http.StatusConflict || squeeze(p.form(t, "/claim").Get("code")) != squeeze(c.code) {
		t.Errorf("%d at %s\n%s", p.status, p.at(), p.body)
	}
}
