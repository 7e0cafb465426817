package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/clock"
)

func (o *operator) serve(issuer string, more ...string) *process {
	o.t.Helper()
	return o.start(append([]string{
		"serve", "--issuer", issuer, "--audience", issuertest.Audience, "--database", o.database, "--code-key-file", o.key,
		"--client-id", issuertest.ClientID, "--client-secret-file", o.write("client.secret", issuertest.ClientSecret+"\n"),
	}, more...)...)
}

func TestServe_AnswersWithAnIssuersTokenAndTracesIt(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	issuer := issuertest.Start(t, clock.NewFake(time.Now()))
	o.ok(nil, "case", "import", o.write("c", `{"form":"I-130","submitted":"2026-08-03","receipt":"IOE0000000001"}`))
	o.ok(nil, "case", "assign", "IOE0000000001", "--sub", "sub-ana")
	p := o.serve(issuer.URL)
	claims := issuer.Person("sub-ana", "cases:read").With("txn", "txn-1")
	status, body := p.get(p.public+"/v1/cases", "Authorization", "Bearer "+issuer.Sign(claims))
	if status != http.StatusOK || !strings.Contains(body, "IOE0000000001") {
		t.Fatalf("%d %s\n%s", status, body, p.log)
	}
	for _, id := range []any{claims["jti"], claims["txn"]} { // while it runs
		var got struct {
			Entries []struct{ Act, Sub, Purpose string }
		}
		o.ok(&got, "ledger", "trace", id.(string))
		if len(got.Entries) != 1 || got.Entries[0].Act != "cases.list" || got.Entries[0].Sub != "sub-ana" || got.Entries[0].Purpose != "self_service" {
			t.Errorf("%v: %+v", id, got)
		}
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != exitOK {
		t.Errorf("status %d: %s", status, p.log)
	}
	if log := p.log.String(); strings.Contains(log, "IOE0000000001") || strings.Contains(log, "eyJ") || strings.Contains(log, "sub-ana") {
		t.Errorf("the log says too much: %s", log)
	}
	o.ok(nil, "ledger", "verify")
}

func TestServe_PrivateListenerIsPrivate(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	issuer := issuertest.Start(t, clock.NewFake(time.Now()))
	p := o.serve(issuer.URL)
	p.get(p.public + "/v1/cases") // so that there is something to count
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if status, body := p.get(p.private + path); status != http.StatusOK {
			t.Errorf("private %s: %d %s", path, status, body)
		}
		if status, _ := p.get(p.public + path); status != http.StatusNotFound {
			t.Errorf("public %s: %d", path, status)
		}
	}
	if status, _ := p.get(p.private + "/v1/cases"); status != http.StatusNotFound {
		t.Errorf("the API on the private listener: %d", status)
	}
	if _, body := p.get(p.private + "/metrics"); !strings.Contains(body, `route="/v1/cases"`) || !strings.Contains(body, "go_goroutines") {
		t.Errorf("%s", body)
	}
	for _, args := range [][]string{{"--url", p.private}, {"--private-listen", strings.TrimPrefix(p.private, "http://")}, {"--url", p.private + "/healthz"}} {
		if r := o.run(append([]string{"healthcheck", "--json"}, args...)...); r.status != exitOK || !strings.Contains(r.out, `"status":"`) {
			t.Errorf("%v: %d %s", args, r.status, r.err)
		}
	}
	if r := o.run("healthcheck", "--url", p.public); r.status != exitFailed {
		t.Errorf("the public listener is healthy: %d", r.status)
	}
}

func TestServe_WithoutItsIssuerIsReadyAndSaysSo(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	issuer := issuertest.Start(t, clock.NewFake(time.Now()))
	issuer.Down(true)
	p := o.serve(issuer.URL)
	var state struct {
		Status   string
		Degraded []string
	}
	status, body := p.get(p.private + "/readyz")
	if err := json.Unmarshal([]byte(body), &state); err != nil || status != http.StatusOK || !slices.Equal(state.Degraded, []string{"issuer", "revocation feed"}) {
		t.Errorf("%d %s", status, body)
	}
	if r := o.run("healthcheck", "--url", p.private); r.status != exitOK || !strings.Contains(r.out, "issuer") {
		t.Errorf("%d %s", r.status, r.out)
	}
	status, _ = p.get(p.public+"/v1/cases", "Authorization", "Bearer "+issuer.Sign(issuer.Person("sub-ana", "cases:read")))
	if status != http.StatusServiceUnavailable {
		t.Errorf("%d", status)
	}
}

func TestServe_FollowsWhatItsIssuerRevokes(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	issuer := issuertest.Start(t, clock.NewFake(time.Now()))
	p := o.serve(issuer.URL)
	until := func(what string, holds func() bool) {
		for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %s", what, p.log)
			}
		}
	}
	until("nothing is degraded", func() bool { _, body := p.get(p.private + "/readyz"); return !strings.Contains(body, "degraded") })
	token := issuer.Sign(issuer.Person("sub-ana", "cases:read").With("sid", "sid-ends"))
	get := func() (int, string) { return p.get(p.public+"/v1/cases", "Authorization", "Bearer "+token) }
	if status, body := get(); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	issuer.Revoke(issuertest.SessionRevoked, "sid-ends")
	until("it is refused", func() bool { status, _ := get(); return status == http.StatusUnauthorized })
	if _, body := get(); !strings.Contains(body, "the access token was revoked") {
		t.Error(body)
	}
	_, body := p.get(p.private + "/metrics")
	for _, want := range []string{
		`caseservice_feed_events_total{type="session-revoked"} 1`, "caseservice_feed_delay_seconds_count 1", "caseservice_feed_age_seconds ", "caseservice_feed_revocations 1",
		"caseservice_feed_refused_total 0", "caseservice_feed_passed_total 0", `caseservice_tokens_total{result="revoked"}`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	issuer.Publish(issuer.Event(issuertest.SessionRevoked, "sid-x").With("aud", "http://localhost:9999"))
	issuer.Revoke(issuertest.SessionRevoked, "sid-y")
	until("what came with a bad event counts", func() bool {
		status, _ := p.get(p.public+"/v1/cases", "Authorization", "Bearer "+issuer.Sign(issuer.Person("sub-ana", "cases:read").With("sid", "sid-y")))
		return status == http.StatusUnauthorized
	})
	until("the bad one is counted", func() bool {
		_, body := p.get(p.private + "/metrics")
		return !strings.Contains(body, "caseservice_feed_refused_total 0")
	})
	until("the feed goes on without it, and nobody believes it", func() bool {
		_, metrics := p.get(p.private + "/metrics")
		_, ready := p.get(p.private + "/readyz")
		return strings.Contains(metrics, "caseservice_feed_passed_total 1") && strings.Contains(ready, "revocation feed")
	})
	if log := p.log.String(); !strings.Contains(log, "the answer was refused") || !strings.Contains(log, `"level":"ERROR"`) || strings.Contains(log, "case/api") {
		t.Error(log)
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != exitOK {
		t.Errorf("status %d: %s", status, p.log)
	}
}

// A process that has just started knows nothing of what was revoked: it asks about each token until it has read all of it.
func TestServe_BelievesNothingBeforeItHasCaughtUp(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	issuer := issuertest.Start(t, clock.NewFake(time.Now()))
	for n := range 250 { // three answers
		issuer.Revoke(issuertest.SessionRevoked, fmt.Sprint("sid-", n))
	}
	var polls atomic.Int64
	goOn := make(chan struct{})
	issuer.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/events/poll" || polls.Add(1) < 2 {
			return false
		}
		select {
		case <-goOn:
			return false
		case <-r.Context().Done():
			return true
		}
	})
	p := o.serve(issuer.URL)
	token := func(sid string) string {
		c := issuer.Person("sub-ana", "cases:read").With("sid", sid)
		if sid == "sid-249" { // told in the last answer
			issuer.Deactivate(c["jti"])
		}
		return "Bearer " + issuer.Sign(c)
	}
	ended, good := token("sid-249"), token("sid-stays")
	for range 3 {
		if status, body := p.get(p.public+"/v1/cases", "Authorization", ended); status != http.StatusUnauthorized {
			t.Errorf("a token that the feed has not told of yet: %d %s", status, body)
		}
		if status, body := p.get(p.public+"/v1/cases", "Authorization", good); status != http.StatusOK {
			t.Errorf("one that stands: %d %s", status, body)
		}
	}
	if n := issuer.Asked(); n < 2 {
		t.Errorf("it asked about %d tokens", n)
	}
	if _, body := p.get(p.private + "/readyz"); !strings.Contains(body, "revocation feed") {
		t.Error(body)
	}
	issuer.Down(true)
	for name, token := range map[string]string{"ended": token("sid-249"), "good": token("sid-stays")} {
		if status, body := p.get(p.public+"/v1/cases", "Authorization", token); status != http.StatusServiceUnavailable {
			t.Errorf("%s, and nobody can be asked: %d %s", name, status, body)
		}
	}
	issuer.Down(false)
	close(goOn)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, body := p.get(p.private + "/readyz"); !strings.Contains(body, "degraded") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not catch up: %s", p.log)
		}
	}
	asked := issuer.Asked()
	if status, _ := p.get(p.public+"/v1/cases", "Authorization", token("sid-0")); status != http.StatusUnauthorized {
		t.Errorf("caught up: %d", status)
	}
	if status, _ := p.get(p.public+"/v1/cases", "Authorization", token("sid-stays")); status != http.StatusOK || issuer.Asked() != asked {
		t.Errorf("one that stands, caught up: %d, asked %d times", status, issuer.Asked()-asked)
	}
}

func TestServe_SIGTERMLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	issuer := issuertest.Start(t, clock.NewFake(time.Now()))
	issuer.Slow(700 * time.Millisecond) // the first call has to wait for the keys
	p := o.serve(issuer.URL)
	answered := make(chan int, 1)
	go func() {
		status, _ := p.get(p.public+"/v1/cases", "Authorization", "Bearer "+issuer.Sign(issuer.Person("sub-ana", "cases:read")))
		answered <- status
	}()
	time.Sleep(300 * time.Millisecond) // it is under way
	p.signal(syscall.SIGTERM)
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the request that was under way got %d\n%s", status, p.log)
	}
	if status := p.wait(); status != exitOK || !strings.Contains(p.log.String(), "draining") {
		t.Errorf("status %d: %s", status, p.log)
	}
	if status, _ := p.get(p.public + "/v1/cases"); status != 0 {
		t.Errorf("it still answers: %d", status)
	}
	if r := o.run("healthcheck", "--url", p.private); r.status != exitFailed {
		t.Errorf("healthcheck: %d", r.status)
	}
}

func TestServe_FollowsTheFeedUntilTheLastAnswer(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	issuer := issuertest.Start(t, clock.NewFake(time.Now()))
	p := o.serve(issuer.URL, "--drain-delay", "3s")
	token := issuer.Sign(issuer.Person("sub-ana", "cases:read").With("sid", "sid-ends"))
	get := func() int {
		status, _ := p.get(p.public+"/v1/cases", "Authorization", "Bearer "+token)
		return status
	}
	within := func(what string, holds func() bool) {
		for end := time.Now().Add(2 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %s", what, p.log)
			}
		}
	}
	within("it follows", func() bool { _, body := p.get(p.private + "/readyz"); return !strings.Contains(body, "degraded") })
	if status := get(); status != http.StatusOK {
		t.Fatal(status)
	}
	p.signal(syscall.SIGTERM)
	within("it drains", func() bool { return strings.Contains(p.log.String(), "draining") })
	issuer.Revoke(issuertest.SessionRevoked, "sid-ends")
	within("a request of its last seconds is refused", func() bool { return get() == http.StatusUnauthorized })
	if status := p.wait(); status != exitOK {
		t.Errorf("status %d: %s", status, p.log)
	}
}

func TestServe_RequestsThatDoNotFinishEndWithTheDrain(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	issuer := issuertest.Start(t, clock.NewFake(time.Now()))
	issuer.Slow(5 * time.Second)
	p := o.serve(issuer.URL, "--drain", "200ms")
	go func() {
		p.get(p.public+"/v1/cases", "Authorization", "Bearer "+issuer.Sign(issuer.Person("sub-ana", "cases:read")))
	}()
	time.Sleep(200 * time.Millisecond)
	began := time.Now()
	p.signal(syscall.SIGINT)
	if status := p.wait(); status != exitFailed || time.Since(began) > 4*time.Second || !strings.Contains(p.log.String(), "did not finish") {
		t.Errorf("status %d after %v: %s", status, time.Since(began), p.log)
	}
}

func TestServe_TakenPortIsSaidAndNothingElseHappens(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	addr := taken.Addr().String()
	for _, ports := range [][]string{{"--listen", addr, "--private-listen", "127.0.0.1:0"}, {"--listen", "127.0.0.1:0", "--private-listen", addr}} {
		r := o.run(append([]string{"serve", "--issuer", "http://localhost:1", "--audience", issuertest.Audience, "--database", o.database, "--code-key-file", o.key, "--client-id", "case-api", "--client-secret-file", o.key}, ports...)...)
		if r.status != exitFailed || !strings.Contains(r.err, addr) {
			t.Errorf("%d %s", r.status, r.err)
		}
	}
	if r := o.run("ledger", "verify", "--database", o.database); r.status != exitFailed {
		t.Error("a database was made")
	}
}

func TestPortal_ServesWithoutIssuerAndAPI(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	const origin = "http://localhost:8082"
	p := o.start("portal", "--issuer", "http://localhost:1", "--api", issuertest.Audience, "--api-url", "http://localhost:1", "--public-url", origin,
		"--client-id", "portal", "--client-secret-file", o.write("secret", "portal-secret\n"), "--contact", "help@example.org")
	host := []string{"Host", "localhost:8082"}
	if status, body := p.get(p.public+"/", host...); status != http.StatusOK || !strings.Contains(body, `href="/signin"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := p.get(p.public+"/signin", host...); status != http.StatusServiceUnavailable || !strings.Contains(body, "<h1") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := p.get(p.public + "/"); status != http.StatusMisdirectedRequest {
		t.Errorf("another host name: %d", status)
	}
	if status, body := p.get(p.private + "/readyz"); status != http.StatusOK || !strings.Contains(body, `"issuer"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := p.get(p.public+"/metrics", host...); status != http.StatusNotFound {
		t.Errorf("public metrics: %d", status)
	}
	if status, body := p.get(p.private + "/metrics"); status != http.StatusOK || !strings.Contains(body, "portal_request") {
		t.Errorf("%d %s", status, body)
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != exitOK {
		t.Errorf("status %d: %s", status, p.log)
	}
	if strings.Contains(p.log.String(), "portal-secret") {
		t.Error("the secret is in the log")
	}
}
