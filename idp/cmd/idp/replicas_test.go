package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/sqldb/pgtest"
	"ellis.example/idp/internal/store/redisstore/redisdb"
	"ellis.example/idp/internal/store/redisstore/redistest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// pair is two providers over one PostgreSQL and one Redis. Each request goes to the other one than the last.
type pair struct {
	*peopleWorld
	all   [2]*provider
	redis *redistest.Server
}

func newPair(t *testing.T) *pair {
	t.Helper()
	w := &world{T: t, template: template{secrets: map[string]string{}, people: map[string]string{}}, clock: clock.NewFake(epoch), log: &logBuffer{}}
	p := &pair{peopleWorld: &peopleWorld{w, newPeopleBox(t)}, redis: redistest.Own(t)}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	w.must(err)
	w.issuer = "http://" + l.Addr().String()
	s, err := testSettings(w.issuer, "", w.clock, slog.New(slog.NewJSONHandler(w.log, nil)))
	w.must(err)
	s.database, s.redis = pgtest.Database(t), redisdb.Config{URL: p.redis.URL()}
	s.relay, err = notify.NewRelay("smtp://"+p.box.addr, "Ellis <no-reply@example.org>")
	w.must(err)
	for i := range p.all {
		p.all[i], err = assemble(t.Context(), s)
		w.must(err)
		t.Cleanup(func() { _ = p.all[i].close() })
	}
	w.p = p.all[0]
	_, err = w.p.leader.Try(t.Context()) // to the tests' own turns of mail
	w.must(err)
	w.must(w.template.fill(t.Context(), w.p))
	w.clock.Advance(time.Hour)
	var n atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { p.all[n.Add(1)%2].public.ServeHTTP(rw, r) }))
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	w.http = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() { tr.CloseIdleConnections(); srv.Close() })
	return p
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

func TestAttack_B07_AcrossReplicasOneOfManyWins(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	code := w.newCode(ana, "web")
	var won atomic.Int64
	together(64, func(int) {
		switch a := w.redeem("web", code); a.status {
		case http.StatusOK:
			won.Add(1)
		case http.StatusBadRequest, http.StatusServiceUnavailable:
		default:
			t.Error(a.status, a.body)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d redeemed one code", won.Load())
	}
	token := w.tokens(ana, "web").str("refresh_token")
	var mu sync.Mutex
	next := map[string]bool{}
	together(64, func(int) {
		a := w.refresh("web", token)
		if a.status != http.StatusOK && a.status != http.StatusServiceUnavailable {
			t.Error(a.status, a.body)
		}
		mu.Lock()
		defer mu.Unlock()
		next[a.str("refresh_token")] = true
	})
	delete(next, "")
	if len(next) != 1 {
		t.Errorf("%d successors of one refresh token", len(next))
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
