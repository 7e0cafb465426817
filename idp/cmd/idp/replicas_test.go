package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/store/redisstore/redisdb"
	"ellis.example/idp/internal/store/redisstore/redistest"
)

// pair is two providers over one PostgreSQL and a Redis that is the test's alone, to do with as it likes.
type pair struct {
	*peopleWorld
	redis *redistest.Server
}

func newPair(t *testing.T) *pair {
	t.Helper()
	r := redistest.Own(t)
	return &pair{shared.people(t, func(s *settings) { s.redis = redisdb.Config{URL: r.URL()} }), r}
}

// kept is everything that Redis holds, as a copy of an old primary would.
type kept map[string]string

func (p *pair) snapshot() kept {
	p.Helper()
	all, err := p.redis.Do("KEYS", "*")
	p.must(err)
	out := kept{}
	for _, k := range all.([]any) {
		v, err := p.redis.Do("DUMP", k)
		if err != nil && err.Error() == "redis: nil" {
			continue // its time ended meanwhile
		}
		p.must(err)
		out[k.(string)] = v.(string)
	}
	return out
}

// comesBack makes Redis what it was.
func (p *pair) comesBack(k kept) {
	p.Helper()
	p.must(p.redis.FlushAll())
	for key, v := range k {
		_, err := p.redis.Do("RESTORE", key, 0, v)
		p.must(err)
	}
}

func TestReplicas_APersonsWayCrossesThemAtEveryStep(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	b := w.browser()
	if p := w.signUp(b, "mia@example.org"); p.url.Path != "/signin/offer" || !b.isIn() {
		t.Fatal(p.url.Path, p.text())
	}
	if p := b.get("/account/factors/enrol").enrol(); len(p.codes()) != 10 {
		t.Fatalf("at %s with %d codes: %s", p.url.Path, len(p.codes()), p.text())
	}
	b = w.browser()
	a := w.redeem("web", b.newCode(ben, "web"))
	w.wants("code", a, http.StatusOK, "")
	for range 4 {
		next := w.refresh("web", a.str("refresh_token"))
		w.wants("refresh", next, http.StatusOK, "")
		a.object["refresh_token"] = next.str("refresh_token")
	}
	if a := b.grant(ben, request("web", "prompt", "none")); a.Get("code") == "" {
		t.Error("no single sign-on:", a)
	}
	if p := b.get(leave("id_token_hint", a.str("id_token"), "post_logout_redirect_uri", byeURI, "state", "x")).confirm(); p.out != byeURI+"?state=x" {
		t.Error(p.status, p.out)
	}
	w.wants("refresh after sign-out", w.refresh("web", a.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
	b.refusal("sign-on after sign-out", request("web", "prompt", "none"), "login_required")
}

// spent tries to use one thing in many windows at once and counts those that it worked in.
func spent(n int, use func(i int) bool) (times int) {
	var won atomic.Int64
	peopleRace(n, func(i int) {
		if use(i) {
			won.Add(1)
		}
	})
	return int(won.Load())
}

// Whatever works once works once at all replicas together.
func TestAttack_B07_AcrossReplicasEachThingIsSpentOnce(t *testing.T) {
	t.Parallel()
	w := shared.people(t)
	const many = 16
	for what, prepare := range map[string]func() func(i int) bool{
		"a one-time code": func() func(int) bool {
			w.nextStep()
			return w.tabs(many, "/signin/factor", w.totpAt(benSeed, w.clock.Now()))
		},
		"a recovery code": func() func(int) bool {
			return w.tabs(many, "/signin/recovery", w.benCodes(w.signedIn(ben))[0])
		},
		"a mailed link": func() func(int) bool {
			b := w.browser()
			b.get("/signup").submit("email", "mia@example.org")
			to, v := b.get(w.linkTo("mia@example.org")).filled("token")
			return func(int) bool {
				return strings.HasPrefix(b.twin().once(http.MethodPost, to, v).header.Get("Location"), "/signup/details")
			}
		},
		"a request for consent": func() func(int) bool {
			b := w.withConsent(ana)
			p := b.authorize(request("web", "prompt", "consent"))
			to, v := p.filled("decision", "allow")
			return func(int) bool { return strings.Contains(b.twin().post(to, v).out, "code=") }
		},
		"a client assertion": func() func(int) bool {
			a := w.assertion("ES256", nil)
			return func(int) bool { return w.world.proven(a).status == http.StatusOK }
		},
		"a code": func() func(int) bool {
			code := w.newCode(ana, "spa")
			return func(int) bool { return w.redeem("spa", code).status == http.StatusOK }
		},
	} {
		if n := spent(many, prepare()); n != 1 {
			t.Errorf("%s worked %d times", what, n)
		}
	}
}

// tabs are windows that proved Ben's password, and how to send one code from each. It works where one is signed in afterwards.
func (w *peopleWorld) tabs(n int, path, code string) func(i int) bool {
	w.Helper()
	tabs, to, forms := make([]*browser, n), make([]string, n), make([]url.Values, n)
	for i := range tabs {
		p := w.half(ben)
		tabs[i] = p.b
		to[i], forms[i] = p.b.get(path+"?flow="+p.url.Query().Get("flow")).filled("code", code)
	}
	return func(i int) bool {
		tabs[i].once(http.MethodPost, to[i], forms[i])
		return tabs[i].isIn()
	}
}

// Replication of Redis may lose writes that were acknowledged, and an old primary may return: what was spent stays spent.
func TestAttack_B07_AnOldRedisRevivesNothing(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	b := w.browser()
	v := request("web")
	consent := b.authorize(v).signIn(ana)
	if consent.url.Path != "/consent" {
		t.Fatal(consent.url.Path, consent.text())
	}
	before := w.snapshot()
	twin := b.twin()
	answer := consent.submit("decision", "allow").answer(appURI)
	issued := w.snapshot()
	a := w.redeem("web", answer.Get("code"))
	w.wants("code", a, http.StatusOK, "")

	w.comesBack(before)
	to := "/authorize?flow=" + consent.url.Query().Get("flow")
	if p := twin.get(to); p.out != "" && strings.Contains(p.out, "code=") {
		t.Error("a flow that was answered gave another code:", p.out)
	}
	w.comesBack(issued)
	w.wants("a code that was used", w.redeem("web", answer.Get("code")), http.StatusBadRequest, "invalid_grant")
	w.wants("what came of it", w.refresh("web", a.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
}

func TestReplicas_WhoLosesAFlowBeginsAgain(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	b := w.browser()
	form := b.authorize(request("web"))
	w.must(w.redis.FlushAll())
	p := form.submit("identifier", ana, "password", pass)
	if p.status != http.StatusGone && p.status != http.StatusNotFound {
		t.Errorf("%d at %s: %s", p.status, p.url.Path, p.text())
	}
	code := b.newCode(ana, "web")
	w.must(w.redis.FlushAll())
	w.wants("a code that was lost", w.redeem("web", code), http.StatusBadRequest, "invalid_grant")
	w.wants("the next", w.redeem("web", b.newCode(ana, "web")), http.StatusOK, "")
}

func TestReplicas_WithoutRedisWhatNeedsItSaysSoAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	b := w.browser()
	a := w.redeem("web", b.newCode(ana, "web"))
	w.wants("code", a, http.StatusOK, "")
	code := b.newCode(ana, "web")
	w.must(w.redis.Kill())
	if p := w.browser().authorize(request("web")); p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") == "" {
		t.Errorf("authorize: %d to %q, %v", p.status, p.out, p.header)
	}
	if r := w.redeem("web", code); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("code: %d %s", r.status, r.body)
	}
	for _, path := range []string{"/jwks", "/.well-known/openid-configuration"} {
		w.wants(path, w.do(http.MethodGet, path, nil), http.StatusOK, "")
	}
	w.wants("refresh", w.refresh("web", a.str("refresh_token")), http.StatusOK, "")
	if !b.isIn() {
		t.Error("who is signed in is not any more")
	}
	for range 3 {
		w.wants("a wrong client", w.do(http.MethodPost, "/token", url.Values{"grant_type": {"client_credentials"}}, "Authorization", "Basic d2ViOng="), http.StatusUnauthorized, "invalid_client")
	}
	for i, p := range w.all {
		if got := fmt.Sprint(p.degraded(t.Context())); !strings.Contains(got, "redis does not answer") {
			t.Errorf("replica %d: %s", i, got)
		}
	}
	w.must(w.redis.Restart())
	w.clock.Advance(time.Second)
	w.wants("after its return", w.redeem("web", b.newCode(ana, "web")), http.StatusOK, "")
	if got := w.p.degraded(t.Context()); len(got) != 0 {
		t.Error(got)
	}
}

func TestServe_RefusesARedisThatForgets(t *testing.T) {
	t.Parallel()
	s := redistest.Own(t, "--maxmemory-policy", "allkeys-lru")
	c := newCLI(t)
	c.ok(nil, "migrate", "up")
	args := append([]string{
		"serve", "--issuer", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0", "--smtp-url", "smtp://127.0.0.1:1",
		"--mail-from", "Ellis <no-reply@example.org>", "--redis", s.URL(),
	}, append(c.common, append(c.kek(), c.pepper()...)...)...)
	if _, errs, status := c.run(args...); status != exitConfig || !strings.Contains(errs, "allkeys-lru") {
		t.Errorf("%d %s", status, errs)
	}
}
