package portal_test

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken"
	"ellis.example/caseservice/internal/api"
	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/feed"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/issuer"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/paper"
	"ellis.example/caseservice/internal/portal"
	"ellis.example/caseservice/internal/portal/caseapi"
	"ellis.example/caseservice/internal/rate"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/signin/issuertest"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/ui"
	"ellis.example/caseservice/internal/unit"
	"ellis.example/caseservice/internal/web"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

var codeKey = bytes.Repeat([]byte{7}, 32)

const ana = "sub-ana"

// world is the portal as it is deployed, with an issuer and with the real case API behind it, over HTTP; one clock for all.
type world struct {
	t      *testing.T
	clock  *clock.Fake
	issuer *issuertest.Issuer
	store  *sqlstore.Store
	door   *door
	url    string
	log    *syncBuffer
	memory *signin.Memory
	limit  rate.Limit // of sign-ins from one network

	revoked revoked // what the API has been told of
}

// revoked are people whose tokens the API takes no more.
type revoked struct {
	mu  sync.Mutex
	sub string
}

// Check implements accesstoken.Revocations.
func (r *revoked) Check(_ context.Context, t *feed.Token, _ string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.Sub == r.sub {
		return feed.ErrRevoked
	}
	return nil
}

// only makes a person the one whose tokens are refused.
func (r *revoked) only(sub string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sub = sub
}

// door stands before the case API.
type door struct {
	mu     sync.Mutex
	next   http.Handler
	before func(w http.ResponseWriter, r *http.Request) bool // answers itself when it returns true
	calls  []string                                          // "METHOD path" of what passed
	keys   []string                                          // Idempotency-Key of each claim
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	before := d.before
	d.calls = append(d.calls, r.Method+" "+r.URL.Path)
	if r.Method == http.MethodPost {
		d.keys = append(d.keys, r.Header.Get("Idempotency-Key"))
	}
	d.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	d.next.ServeHTTP(w, r)
}

// answers makes the API answer something else from now on; nil: itself again.
func (d *door) answers(f func(w http.ResponseWriter, r *http.Request) bool) {
	d.mu.Lock()
	d.before = f
	d.mu.Unlock()
}

// seen returns what the API was asked, and the keys of its POSTs.
func (d *door) seen() (calls, keys []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls), slices.Clone(d.keys)
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

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, func(*portal.Config) {})
}

// newWorldWith is newWorld with a portal that is set up otherwise.
func newWorldWith(t *testing.T, change func(*portal.Config)) *world {
	t.Helper()
	return newWorldOver(t, change, func(w *world) []signin.Store { return []signin.Store{w.memory} })
}

// newWorldOver is newWorldWith with one process of the portal over each store. Each request goes to the next one.
func newWorldOver(t *testing.T, change func(*portal.Config), stores func(*world) []signin.Store) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewFake(start), log: &syncBuffer{}, limit: signin.DefaultLimit()}
	log := slog.New(slog.NewJSONHandler(w.log, nil))
	server := httptest.NewUnstartedServer(nil)
	w.url = "http://" + server.Listener.Addr().String()
	w.issuer = issuertest.Start(t, w.clock, w.url)
	apiURL := w.startAPI(log)
	renderer, err := ui.New(ui.Brand{Contact: "help@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	w.memory = signin.NewMemory(w.clock, 100, 100)
	origin, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	var all []http.Handler
	for _, store := range stores(w) {
		gate := signin.New(signin.Config{
			Issuer: w.issuer.URL, ClientID: issuertest.ClientID, ClientSecret: issuertest.ClientSecret, Resource: issuertest.Resource,
			RedirectURI: w.url + "/callback", SignedOutURI: w.url + "/signed-out", Cookies: signin.NewCookies(false), Store: store, Clock: w.clock,
			Limit: w.limit, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		})
		cfg := portal.Config{
			PublicURL: origin, Gate: gate, API: caseapi.New(apiURL, nil), Renderer: renderer, Clock: w.clock,
			CSRFKey: bytes.Repeat([]byte{9}, 32), AccountURL: w.issuer.URL + "/account",
		}
		change(&cfg)
		all = append(all, web.Edge{Log: log}.Wrap(portal.New(cfg).Handler()))
	}
	var n atomic.Int64
	server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { all[int(n.Add(1))%len(all)].ServeHTTP(rw, r) })
	server.Start()
	t.Cleanup(server.Close)
	return w
}

// startAPI starts the case API, and returns where it is reached.
func (w *world) startAPI(log *slog.Logger) string {
	w.t.Helper()
	store, err := sqlstore.Open(w.t.Context(), sqlstore.Options{Database: "sqlite:" + filepath.Join(w.t.TempDir(), "cases.db"), Role: "test", Clock: w.clock})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = store
	w.t.Cleanup(func() { _ = store.Close() })
	tokens := accesstoken.New(accesstoken.Options{
		Issuer: issuer.New(issuer.Options{URL: w.issuer.URL, Clock: w.clock, Log: log}), Audience: issuertest.Resource, Revocations: &w.revoked, Clock: w.clock,
	})
	a, err := api.New(api.Options{
		Issuer: w.issuer.URL, Audience: issuertest.Resource, Key: codeKey, Tokens: tokens, Cases: store, Claims: store, Commit: store, Clock: w.clock,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.door = &door{next: web.Edge{Log: log}.Wrap(a)}
	server := httptest.NewServer(w.door)
	w.t.Cleanup(server.Close)
	return server.URL
}

// seeded is a case with the code of its notice.
type seeded struct {
	id, receipt, code string
}

// seed makes a claimable case; a non-empty owner gets it.
func (w *world) seed(n int, owner string) seeded {
	w.t.Helper()
	line := fmt.Sprintf(`{"form":"I-765","submitted":"2026-08-03","receipt":"IOE%010d","events":[{"code":"received","at":"2026-08-07T14:00:00Z"},
		{"code":"biometrics_scheduled","at":"2026-11-20T10:00:00Z"}],"appointments":[{"kind":"biometrics","at":"2026-12-15T09:30:00-05:00",
		"place":"Support <i>Center</i>","address":"1 Main St"}]}`, n)
	c, _, err := cases.ParseImportLine([]byte(line), w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	code := paper.NewClaimCode()
	c.CodeMAC, c.CodeExpires = paper.CodeMAC(codeKey, c.Case.Receipt, code), w.clock.Now().Add(cases.CodeLife)
	writes := []unit.Write{c}
	if owner != "" {
		writes = append(writes, cases.Assign{CaseID: c.Case.ID, Sub: owner, At: w.clock.Now(), Event: ident.New("evt")})
	}
	if err := w.store.Commit(context.Background(), unit.Unit{Writes: writes, Event: ledger.Entry{Act: "case.import", Outcome: ledger.Allowed}}); err != nil {
		w.t.Fatal(err)
	}
	return seeded{c.Case.ID, string(c.Case.Receipt), code.Grouped()}
}

// browser is one person's browser. It follows redirects by itself, and holds every answer of the portal to what is true
// of all of them.
type browser struct {
	w      *world
	client *http.Client
	jar    *cookiejar.Jar
	header map[string]string // sent with every request to the portal
}

func (w *world) browser() *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w: w, jar: jar, header: map[string]string{}, client: &http.Client{
		Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// page is what the browser shows at the end, and the addresses that led there.
type page struct {
	status int
	header http.Header
	body   string
	url    *url.URL
	trail  []string // each Location, in order
}

// at is path and query of the page.
func (p page) at() string { return p.url.RequestURI() }

// request makes a request to an address, relative to the portal.
func (b *browser) request(method, to string, form url.Values) *http.Request {
	b.w.t.Helper()
	if strings.HasPrefix(to, "/") {
		to = b.w.url + to
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(context.Background(), method, to, body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range b.header {
		r.Header.Set(k, v)
	}
	return r
}

// send sends one request and follows nothing.
func (b *browser) send(r *http.Request) page {
	b.w.t.Helper()
	res, err := b.client.Do(r)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	p := page{status: res.StatusCode, header: res.Header, body: string(body), url: r.URL}
	if strings.HasPrefix(r.URL.String(), b.w.url+"/") {
		b.w.check(r, p)
	}
	return p
}

// follow follows redirects to their end.
func (b *browser) follow(p page) page {
	b.w.t.Helper()
	for range 10 {
		to := p.header.Get("Location")
		if p.status != http.StatusSeeOther || to == "" {
			return p
		}
		next, err := p.url.Parse(to)
		if err != nil {
			b.w.t.Fatal(err)
		}
		trail := append(p.trail, next.String())
		p = b.send(b.request(http.MethodGet, next.String(), nil))
		p.trail = trail
	}
	b.w.t.Fatalf("the redirects do not end: %q", p.trail)
	return p
}

func (b *browser) get(to string) page {
	b.w.t.Helper()
	return b.follow(b.send(b.request(http.MethodGet, to, nil)))
}

// step asks for an address and follows nothing.
func (b *browser) step(to string) page {
	b.w.t.Helper()
	return b.send(b.request(http.MethodGet, to, nil))
}

func (b *browser) post(to string, form url.Values) page {
	b.w.t.Helper()
	return b.follow(b.send(b.request(http.MethodPost, to, form)))
}

// signIn signs in, and must succeed.
func (b *browser) signIn() {
	b.w.t.Helper()
	if p := b.get("/signin"); p.status != http.StatusOK || p.url.Path != "/cases" {
		b.w.t.Fatalf("sign-in: %d at %s\n%s", p.status, p.url, p.body)
	}
}

// cookie returns the value of one of the portal's cookies.
func (b *browser) cookie(name string) string {
	u, _ := url.Parse(b.w.url)
	for _, c := range b.jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) setCookie(name, value string) {
	u, _ := url.Parse(b.w.url)
	c := &http.Cookie{Name: name, Value: value, Path: "/"}
	if value == "" {
		c.MaxAge = -1
	}
	b.jar.SetCookies(u, []*http.Cookie{c})
}

var (
	formOf = regexp.MustCompile(`(?s)<form[^>]* action="([^"]*)"[^>]*>(.*?)</form>`)
	input  = regexp.MustCompile(`<input[^>]* name="([^"]*)"[^>]* value="([^"]*)"`)
)

// form returns the fields of the page's first form that posts to action.
func (p page) form(t *testing.T, action string) url.Values {
	t.Helper()
	for _, f := range formOf.FindAllStringSubmatch(p.body, -1) {
		if html.UnescapeString(f[1]) != action {
			continue
		}
		v := url.Values{}
		for _, i := range input.FindAllStringSubmatch(f[2], -1) {
			v.Set(i[1], html.UnescapeString(i[2]))
		}
		return v
	}
	t.Fatalf("%s has no form for %s:\n%s", p.url, action, p.body)
	return nil
}

// submit fills in the page's form and sends it.
func (b *browser) submit(p page, action string, fields ...string) page {
	b.w.t.Helper()
	v := p.form(b.w.t, action)
	for i := 0; i+1 < len(fields); i += 2 {
		v.Set(fields[i], fields[i+1])
	}
	return b.post(action, v)
}

// claim opens the claim form, fills it in and sends it.
func (b *browser) claim(receipt, code string) page {
	b.w.t.Helper()
	return b.submit(b.get("/claim"), "/claim", "receipt", receipt, "code", code)
}
