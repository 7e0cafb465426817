package api_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"ellis.example/caseservice/internal/accesstoken"
	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/api"
	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/feed"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/issuer"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/paper"
	"ellis.example/caseservice/internal/sqldb/pgtest"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/unit"
	"ellis.example/caseservice/internal/web"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

var codeKey = bytes.Repeat([]byte{7}, 32)

// service is the API as it is deployed, over HTTP, with an issuer and a clock of its own.
type service struct {
	t       testing.TB
	issuer  *issuertest.Issuer
	store   *sqlstore.Store
	db      *sql.DB // the same database, as somebody with a shell would open it
	driver  string  // of db
	url     string
	handler http.Handler
	log     *syncBuffer
	commit  *gate
	feed    *feed.Feed
}

// gate is the store's committer with a door that tests close.
type gate struct {
	unit.Committer
	before func(unit.Unit) error // called before each commit, if set
}

func (g *gate) Commit(ctx context.Context, u unit.Unit) error {
	if g.before != nil {
		if err := g.before(u); err != nil {
			return err
		}
	}
	return g.Committer.Commit(ctx, u)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newService(t testing.TB) *service { return newServiceAt(t, issuertest.Audience) }

func newServiceAt(t testing.TB, audience string) *service {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cases.db")
	return newServiceOver(t, audience, "sqlite:"+path, "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)", 1)
}

// newPair is a service of two replicas over one PostgreSQL. Each request goes to the other one than the last.
func newPair(t testing.TB) *service {
	t.Helper()
	dsn := pgtest.Database(t)
	return newServiceOver(t, issuertest.Audience, dsn, "pgx", dsn, 2)
}

// newServiceOver opens replicas over a database, and the database beside them by a driver.
func newServiceOver(t testing.TB, audience, database, driver, name string, replicas int) *service {
	t.Helper()
	s := &service{t: t, issuer: issuertest.Start(t, clock.NewFake(start)), log: &syncBuffer{}, driver: driver}
	log := slog.New(slog.NewJSONHandler(s.log, nil))
	from := issuer.New(issuer.Options{URL: s.issuer.URL, Clock: s.issuer.Clock, Log: log})
	s.feed = feed.New(feed.Options{
		Issuer: from, Audience: issuertest.Audience, ClientID: issuertest.ClientID, Secret: issuertest.ClientSecret, Clock: s.issuer.Clock, Log: log,
	})
	follow(t, s.feed)
	var all []http.Handler
	for range replicas {
		all = append(all, s.replica(database, audience, from, log))
	}
	var n atomic.Uint64
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { all[n.Add(1)%uint64(replicas)].ServeHTTP(w, r) })
	srv := httptest.NewServer(s.handler)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	var err error
	if s.db, err = sql.Open(driver, name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	return s
}

// replica is the API over a store of its own. What a test reaches behind it is the last one's.
func (s *service) replica(database, audience string, from *issuer.Issuer, log *slog.Logger) http.Handler {
	s.t.Helper()
	var err error
	if s.store, err = sqlstore.Open(s.t.Context(), sqlstore.Options{Database: database, Role: "test", Clock: s.issuer.Clock, Log: log}); err != nil {
		s.t.Fatal(err)
	}
	store := s.store
	s.t.Cleanup(func() { _ = store.Close() })
	s.commit = &gate{Committer: store}
	tokens := accesstoken.New(accesstoken.Options{Issuer: from, Audience: audience, Revocations: s.feed, Clock: s.issuer.Clock})
	a, err := api.New(api.Options{
		Issuer: s.issuer.URL, Audience: audience, Key: codeKey, Tokens: tokens, Cases: store, Claims: store, Commit: s.commit, Clock: s.issuer.Clock,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return web.Edge{Log: log}.Wrap(a)
}

// TestMain ends the server that tests share.
func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// follow lets a feed be followed until the test ends, and waits until it is fresh.
func follow(t testing.TB, f *feed.Feed) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.Follow(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	eventually(t, "the feed is fresh", f.Fresh)
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// person returns a token of a person with a fresh second factor.
func (s *service) person(sub, scope string) string { return s.issuer.Sign(s.issuer.Person(sub, scope)) }

// seeded is a case with the code of its notice.
type seeded struct {
	cases.Create
	code string
}

// seed makes a claimable case, n hours old; a non-empty owner gets it.
func (s *service) seed(n int, owner string) seeded {
	s.t.Helper()
	now := s.issuer.Clock.Now()
	line := fmt.Sprintf(`{"form":"I-765","submitted":"2026-08-03","receipt":"IOE%010d","events":[{"code":"received","at":"2026-08-07T14:00:00Z"},
		{"code":"biometrics_scheduled","at":%q}],"appointments":[{"kind":"biometrics","at":"2026-09-01T09:00:00-05:00","state":"missed","place":"Old \"Center\"","address":"<b>2</b> Main & St\u2028"},
		{"kind":"biometrics","at":"2026-12-15T09:30:00-05:00","place":"Support Center","address":"1 Main St"}]}`, n, now.Add(-time.Duration(n)*time.Hour).Format(time.RFC3339))
	c, _, err := cases.ParseImportLine([]byte(line), now)
	if err != nil {
		s.t.Fatal(err)
	}
	code := paper.NewClaimCode()
	c.CodeMAC, c.CodeExpires = paper.CodeMAC(codeKey, c.Case.Receipt, code), now.Add(cases.CodeLife)
	writes := []unit.Write{c}
	if owner != "" {
		writes = append(writes, cases.Assign{CaseID: c.Case.ID, Sub: owner, At: c.Case.UpdatedAt, Event: ident.New("evt")})
	}
	if err := s.store.Commit(context.Background(), unit.Unit{Writes: writes, Event: ledger.Entry{Act: "case.import", Outcome: ledger.Allowed}}); err != nil {
		s.t.Fatal(err)
	}
	return seeded{c, code.Grouped()}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// code is the public code of a problem.
func (a answer) code() string {
	var p web.Problem
	_ = json.Unmarshal(a.body, &p)
	return p.Code
}

// challenge is the WWW-Authenticate header.
func (a answer) challenge() string { return a.header.Get("WWW-Authenticate") }

func (a answer) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

type header struct{ name, value string }

// get sends a GET with a token.
func (s *service) get(path, token string, more ...header) answer {
	s.t.Helper()
	return s.do(http.MethodGet, path, token, "", more...)
}

// do sends a request and holds the answer to the contract: the description, the headers, and one entry for each answer
// to a verified token.
func (s *service) do(method, path, token, body string, more ...header) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range more {
		if h.value == "" {
			req.Header.Del(h.name)
			continue
		}
		req.Header[http.CanonicalHeaderKey(h.name)] = append(req.Header[http.CanonicalHeaderKey(h.name)], h.value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Error(err)
		return answer{}
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Error(err)
	}
	a := answer{res.StatusCode, res.Header, text}
	s.checkHeaders(path, a)
	s.checkEntries(a)
	s.checkContract(req, a)
	return a
}

// checkHeaders holds for every answer, whatever it is.
func (s *service) checkHeaders(path string, a answer) {
	s.t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Access-Control-Allow-Origin": "", "Set-Cookie": "",
	} {
		if got := a.header.Get(name); got != want {
			s.t.Errorf("%s: %s is %q", path, name, got)
		}
	}
	if strings.HasPrefix(path, "/v1/") && a.header.Get("Cache-Control") != "no-store" {
		s.t.Errorf("%s: may be stored", path)
	}
	if a.status >= 400 && a.header.Get("Content-Type") != "application/problem+json" {
		s.t.Errorf("%s: a problem of type %q", path, a.header.Get("Content-Type"))
	}
	if (a.status == http.StatusUnauthorized) != strings.HasPrefix(a.challenge(), "Bearer ") && a.code() != "insufficient_scope" {
		s.t.Errorf("%s: %d with challenge %q", path, a.status, a.challenge())
	}
}

// checkEntries counts the ledger's entries of one answer, at once: they have to be there before it.
func (s *service) checkEntries(a answer) {
	s.t.Helper()
	want := 1
	switch a.code() {
	case "authentication_required", "invalid_token", "no_such_route", "method_not_allowed", "store_unavailable", "issuer_unreachable", "revocation_unknown", "shutting_down", "internal", "json_depth":
		want = 0
	}
	if a.status == http.StatusMethodNotAllowed || strings.HasPrefix(a.header.Get("Cache-Control"), "public") {
		want = 0
	}
	var n int
	place := map[string]string{"pgx": "$1"}[s.driver]
	if place == "" {
		place = "?"
	}
	if err := s.db.QueryRow("SELECT COUNT(*) FROM ledger WHERE request_id = "+place, a.header.Get("X-Request-Id")).Scan(&n); err != nil {
		s.t.Error(err)
	}
	if n == 0 && a.code() == "body_too_large" { // beyond what any route takes nobody has looked at who sent it
		return
	}
	if n != want {
		s.t.Errorf("%d entries of %d %s", n, a.status, a.body)
	}
}

// described is the description as the service itself publishes it.
var described = sync.OnceValues(func() (routers.Router, error) {
	a, err := api.New(api.Options{Issuer: "http://localhost:8080", Audience: issuertest.Audience, Key: codeKey})
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	doc, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background(), openapi3.AllowExtraSiblingFields("description", "summary")); err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// checkContract validates the answer against the description.
func (s *service) checkContract(req *http.Request, a answer) {
	s.t.Helper()
	router, err := described()
	if err != nil {
		s.t.Fatal(err)
	}
	r := req.Clone(context.Background())
	r.URL.Scheme, r.URL.Host, r.Host = "http", "localhost:8081", "localhost:8081"
	route, params, err := router.FindRoute(r)
	if err != nil {
		if a.code() != "no_such_route" && a.code() != "method_not_allowed" && r.Method != http.MethodHead {
			s.t.Errorf("%s %s is not described, and answers %d", r.Method, r.URL.Path, a.status)
		}
		return
	}
	yaml := strings.HasSuffix(route.Path, ".yaml") // the validator would parse it, and demands a text
	options := &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: yaml}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options},
		Status:                 a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), Options: options,
	})
	if err != nil {
		s.t.Errorf("%s %s, %d: not as described: %v\n%s", r.Method, route.Path, a.status, err, a.body)
	}
}

var _ unit.Committer = (*gate)(nil)
