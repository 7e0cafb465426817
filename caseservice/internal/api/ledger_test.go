package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/unit"
)

func TestLedger_AnswerWaitsForItsEntry(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	token := s.person("p1", "cases:read cases:claim")
	for _, ask := range []func() answer{
		func() answer { return s.get("/v1/cases", token) },
		func() answer { return s.get("/v1/cases/"+c.Case.ID, token) },
		func() answer { return s.get("/v1/cases/"+c.Case.ID+"/events", token) },
		func() answer { return s.get("/v1/cases/cas_none", token) }, // refusals too
		func() answer { return s.get("/v1/stats", token) },
		func() answer { return s.claim(token, "k-00000001", c) },
	} {
		open := make(chan struct{})
		s.commit.before = func(unit.Unit) error { <-open; return nil }
		done := make(chan answer)
		go func() { done <- ask() }()
		select {
		case a := <-done:
			t.Errorf("%d left before its entry was durable", a.status)
			close(open)
			continue
		case <-time.After(30 * time.Millisecond):
		}
		close(open)
		<-done
	}
}

func TestLedger_TracesEveryAccessOfAToken(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c, other := s.seed(1, ""), s.seed(2, "p2")
	claims := s.issuer.Person("p1", "cases:read cases:claim")
	token := s.issuer.Sign(claims)
	s.claim(token, "k-00000001", c.with(fresh()))
	s.claim(token, "k-00000002", c)
	s.get("/v1/cases", token)
	s.get("/v1/cases/"+c.Case.ID, token)
	s.get("/v1/cases/"+c.Case.ID+"/events", token)
	s.get("/v1/cases/"+other.Case.ID, token)
	s.get("/v1/cases?limit=0", token)
	s.get("/v1/stats", token)
	want := []string{
		"case.claim refused claim_not_accepted " + c.Case.ID, "case.claim allowed  " + c.Case.ID, "cases.list allowed  ", "case.read allowed  " + c.Case.ID,
		"case.events allowed  " + c.Case.ID, "case.read refused no_relationship " + other.Case.ID, "cases.list refused invalid_request ", "cases.count refused insufficient_scope ",
	}
	for _, id := range []string{fmt.Sprint(claims["jti"]), "txn-p1"} {
		got, err := s.store.Trace(t.Context(), id)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d entries, %v", id, len(got), err)
		}
		for i, e := range got {
			if line := fmt.Sprint(e.Act, " ", e.Outcome, " ", e.Reason, " ", e.Case); line != want[i] || e.Sub != "p1" || e.Client != "portal" || e.Txn != "txn-p1" || e.JTI != claims["jti"] || e.Request == "" {
				t.Errorf("%q, want %q: %+v", line, want[i], e)
			}
		}
	}
	machine := s.issuer.Machine("batch", cases.ScopeStats)
	s.get("/v1/stats", s.issuer.Sign(machine))
	if got, err := s.store.Trace(t.Context(), fmt.Sprint(machine["jti"])); err != nil || len(got) != 1 || got[0].Purpose != ledger.Statistics || got[0].Sub != "batch" {
		t.Errorf("%+v, %v", got, err)
	}
	if r, err := s.store.Verify(t.Context()); err != nil || r.Broken != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestLedger_HoldsNoReceiptCodeOrToken(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	token := s.person("p1", "cases:read cases:claim")
	s.claim(token, "my-idempotency-key", c)
	s.get("/v1/cases/"+string(c.Case.Receipt), token)
	s.get("/v1/cases?cursor=some-cursor", token)
	got, err := s.store.Tail(t.Context(), nil, 100)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v", got)
	for _, secret := range []string{string(c.Case.Receipt), c.code, strings.ReplaceAll(c.code, "-", ""), token[:40], "my-idempotency-key", "some-cursor"} {
		if strings.Contains(text, secret) {
			t.Errorf("the ledger holds %q", secret)
		}
	}
}

// A full disk, a broken file, a queue that is full: whatever it is, nobody sees a case without an entry.
func TestStoreDown_IsA503WithoutData(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	token := s.person("p1", "cases:read cases:claim")
	asks := map[string]func() answer{
		"list": func() answer { return s.get("/v1/cases", token) }, "get": func() answer { return s.get("/v1/cases/"+c.Case.ID, token) },
		"events": func() answer { return s.get("/v1/cases/"+c.Case.ID+"/events", token) }, "refusal": func() answer { return s.get("/v1/cases/cas_none", token) },
		"scope": func() answer { return s.get("/v1/stats", token) }, "claim": func() answer { return s.claim(token, "k-00000001", s.other()) },
		"count":  func() answer { return s.get("/v1/stats", s.issuer.Sign(s.issuer.Machine("batch", cases.ScopeStats))) },
		"cached": func() answer { return s.get("/v1/cases/"+c.Case.ID, token, header{"If-None-Match", "*"}) },
	}
	check := func(name string) {
		t.Helper()
		for ask, f := range asks {
			a := f()
			if a.status != http.StatusServiceUnavailable || a.code() != "store_unavailable" || a.header.Get("Retry-After") == "" || a.header.Get("ETag") != "" || strings.Contains(string(a.body), c.Case.ID) {
				t.Errorf("%s, %s: %d %s", name, ask, a.status, a.body)
			}
		}
	}
	s.commit.before = func(unit.Unit) error { return errors.New("disk full at /var/secret/path") }
	check("commit fails")
	s.commit.before = func(unit.Unit) error { return context.DeadlineExceeded }
	check("commit ends")
	s.commit.before = nil
	if a := asks["get"](); a.status != http.StatusOK {
		t.Errorf("it does not come back: %d", a.status)
	}
}

// other is a claim of a case that is not there.
func (s *service) other() seeded {
	return seeded{Create: cases.Create{Case: cases.Case{Receipt: "IOE9999999999"}}, code: fresh()}
}

func TestStoreDown_UnreadableDatabaseIsA503WithoutData(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	token := s.person("p1", "cases:read cases:claim")
	for _, table := range []string{"appointments", "events", "parties", "idempotency_keys", "cases"} {
		if _, err := s.db.Exec("ALTER TABLE " + table + " RENAME TO gone_" + table); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/v1/cases", "/v1/cases/" + c.Case.ID, "/v1/cases/" + c.Case.ID + "/events"} {
		if a := s.get(path, token); a.code() != "store_unavailable" || a.header.Get("Retry-After") != "2" || strings.Contains(string(a.body), "table") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := s.get("/v1/stats", s.issuer.Sign(s.issuer.Machine("batch", cases.ScopeStats))); a.code() != "store_unavailable" {
		t.Errorf("%d", a.status)
	}
	if a := s.claim(token, "k-00000001", s.other()); a.code() != "store_unavailable" {
		t.Errorf("%d", a.status)
	}
}

func TestClose_RequestsUnderWayAreAnsweredOrRefused(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	token := s.person("p1", read)
	var answered, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for range 20 {
				switch a := s.get("/v1/cases/"+c.Case.ID, token); a.code() {
				case "":
					answered.Add(1)
				case "shutting_down", "store_unavailable":
					refused.Add(1)
				default:
					t.Errorf("%d %s", a.status, a.body)
				}
				if i == 0 && answered.Load() > 100 {
					_ = s.store.Close()
				}
			}
		})
	}
	wg.Wait()
	if answered.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d answered, %d refused", answered.Load(), refused.Load())
	}
}

// The audience may have a path: everything is below it, and the metadata is where RFC 9728 §3.1 looks for it.
func TestAudienceWithAPath(t *testing.T) {
	t.Parallel()
	const audience = "http://localhost:8081/case/api"
	s := newServiceAt(t, audience)
	c := s.seed(1, "")
	token := s.issuer.Sign(s.issuer.Person("p1", "cases:read cases:claim").With("aud", audience))
	ask := func(method, path, body string) *http.Response {
		req := httptest.NewRequest(method, s.url+path, strings.NewReader(body))
		req.RequestURI = ""
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "k-00000001")
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res
	}
	if res := ask("POST", "/case/api/v1/claims", fmt.Sprintf(`{"receipt":%q,"code":%q}`, c.Case.Receipt, c.code)); res.StatusCode != http.StatusCreated || res.Header.Get("Location") != "/case/api/v1/cases/"+c.Case.ID {
		t.Errorf("%d %s", res.StatusCode, res.Header.Get("Location"))
	}
	for path, status := range map[string]int{
		"/case/api/v1/cases": 200, "/case/api/v1/cases/" + c.Case.ID: 200, "/case/api/openapi.json": 200, "/case/api/.well-known/oauth-protected-resource": 200,
		"/.well-known/oauth-protected-resource/case/api": 200, "/.well-known/oauth-protected-resource": 404, "/v1/cases": 404, "/case/apiv1/cases": 404, "/case/api": 404,
	} {
		if res := ask("GET", path, ""); res.StatusCode != status {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	token = "x"
	if got := ask("GET", "/case/api/v1/cases", "").Header.Get("WWW-Authenticate"); !strings.HasSuffix(got, `resource_metadata="http://localhost:8081/.well-known/oauth-protected-resource/case/api"`) {
		t.Error(got)
	}
}

func TestMetadata_NamesResourceIssuerAndScopes(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var got struct {
		Resource string
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported"`
		Methods  []string `json:"bearer_methods_supported"`
	}
	s.get("/.well-known/oauth-protected-resource", "").into(t, &got)
	if got.Resource != issuertest.Audience || fmt.Sprint(got.Servers) != "["+s.issuer.URL+"]" || fmt.Sprint(got.Scopes) != "[cases:read cases:claim cases:stats]" || fmt.Sprint(got.Methods) != "[header]" {
		t.Errorf("%+v", got)
	}
}

func TestLog_NamesRoutesAndClientsNeverCasesOrPeople(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	token := s.person("person-1", "cases:read cases:claim")
	s.get("/v1/cases/"+c.Case.ID, token)
	s.claim(token, "secret-key-1", c)
	s.get("/v1/cases/"+c.Case.ID+"/events?after=cursor-1", token)
	log := s.log.String()
	for _, secret := range []string{token[:40], `:"person-1"`, c.Case.ID, string(c.Case.Receipt), c.code, "secret-key-1", "cursor-1"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	for _, wanted := range []string{`"route":"/v1/cases/{id}"`, `"route":"/v1/claims"`, `"client_id":"portal"`, `"txn":"txn-person-1"`} {
		if !strings.Contains(log, wanted) {
			t.Errorf("the log lacks %s", wanted)
		}
	}
}
