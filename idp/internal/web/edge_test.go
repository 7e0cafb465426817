package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/web"
)

// bench is an edge with a log that can be read.
type bench struct {
	*web.Edge
	cfg      web.Config
	log      bytes.Buffer
	seen     sync.Mutex // guards observed
	observed []string
}

func newEdge(t *testing.T, issuer string, proxies ...string) *bench {
	t.Helper()
	u, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{}
	cfg := web.Config{
		Issuer: u, Clock: clock.NewFake(time.Unix(0, 0)), Log: slog.New(slog.NewJSONHandler(&b.log, nil)), CSRFKey: bytes.Repeat([]byte{1}, 32),
		ErrorPage: func(w http.ResponseWriter, r *http.Request, f *fault.Error) {
			http.Error(w, "page "+f.Code+" "+web.Info(r.Context()).ID, web.StatusOf(f))
		},
		Observe: func(route, method string, _ int, _ time.Duration) {
			b.seen.Lock()
			defer b.seen.Unlock()
			b.observed = append(b.observed, method+" "+route)
		},
	}
	for _, p := range proxies {
		cfg.TrustedProxies = append(cfg.TrustedProxies, netip.MustParsePrefix(p))
	}
	b.cfg = cfg
	b.Edge = web.NewEdge(cfg)
	return b
}

// withLoad is the same edge within bounds.
func (b *bench) withLoad(l *web.Load) *web.Edge {
	cfg := b.cfg
	cfg.Load = l
	return web.NewEdge(cfg)
}

// serve sends a request through the edge to a page.
func (b *bench) serve(h web.Handler, r *http.Request) *httptest.ResponseRecorder {
	m := mux.NewRouter()
	m.Handle("/page/{id}", b.Page(h))
	m.NotFoundHandler = b.NotFound()
	w := httptest.NewRecorder()
	b.Wrap(m).ServeHTTP(w, r)
	return w
}

func request(method, target string) *http.Request {
	return httptest.NewRequest(method, target, http.NoBody)
}

func (b *bench) line(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(b.log.Bytes(), &m); err != nil {
		t.Fatalf("not one line: %v in %s", err, b.log.String())
	}
	return m
}

func TestEdge_EachRequestLeavesOneLineThatNamesItsRoute(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example.org")
	r := request(http.MethodGet, "https://id.example.org/page/secret-id?token=secret-token")
	r.Header.Set("User-Agent", "agent\x00\u202e"+strings.Repeat("a", 999))
	var agent string
	w := b.serve(func(_ http.ResponseWriter, r *http.Request) error {
		i := web.Info(r.Context())
		i.Client, i.Txn, agent = "web", "txn_1", i.UserAgent
		return nil
	}, r)
	m := b.line(t)
	if m["route"] != "/page/{id}" || m["request"] != w.Header().Get("X-Request-Id") || m["client_id"] != "web" || m["txn"] != "txn_1" || m["ip"] != "192.0.2.1" || strings.Contains(b.log.String(), "secret") {
		t.Errorf("%s", b.log.String())
	}
	if len(agent) > 256 || strings.ContainsAny(agent, "\x00\u202e") {
		t.Errorf("the agent is %q", agent)
	}
	if len(b.observed) != 1 || b.observed[0] != "GET /page/{id}" {
		t.Errorf("%v", b.observed)
	}
}

func TestEdge_MethodsAndPathsOfStrangersStayOutOfTheLog(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example.org")
	b.serve(nil, request("EVIL", "https://id.example.org/evil"))
	if m := b.line(t); m["method"] != "other" || m["route"] != "other" || strings.Contains(strings.ToLower(b.log.String()), "evil") {
		t.Errorf("%s", b.log.String())
	}
}

func TestEdge_AnswersForItsIssuersHostAlone(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]int{"id.example.org": 200, "ID.EXAMPLE.ORG": 200, "id.example.org:443": 421, "evil.example": 421, "": 421, "id.example.org.": 421, "id.example.org.evil.example": 421} {
		b := newEdge(t, "https://id.example.org")
		r := request(http.MethodGet, "/page/1")
		r.Host = host
		w := b.serve(func(http.ResponseWriter, *http.Request) error { return nil }, r)
		if w.Code != want || strings.Contains(w.Body.String(), "evil") {
			t.Errorf("%q: %d %s", host, w.Code, w.Body)
		}
	}
}

func TestEdge_APanicIsAnErrorPageAndALine(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example.org")
	w := b.serve(func(http.ResponseWriter, *http.Request) error { panic("secret of the inside") }, request(http.MethodGet, "https://id.example.org/page/1"))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), "page internal req_") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if m := b.line(t); m["level"] != "ERROR" || !strings.Contains(b.log.String(), "secret of the inside") {
		t.Errorf("%v", m)
	}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // a panic's value
			t.Errorf("an aborted answer: %v", p)
		}
	}()
	b.serve(func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }, request(http.MethodGet, "https://id.example.org/page/1"))
}

func TestEdge_ErrorsOfPagesHaveTheirStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		after  string
		says   string
	}{
		{errors.New("secret"), 500, "", "page internal"},
		{fault.New(fault.Invalid, "x", ""), 400, "", "page x"},
		{fault.New(fault.NotAllowed, "x", ""), 405, "", "page x"},
		{fault.New(fault.MediaType, "x", ""), 415, "", "page x"},
		{fault.New(fault.Unavailable, "x", "").After(1500 * time.Millisecond), 503, "2", "page x"},
		{fault.New(fault.TooMany, "x", "").After(time.Minute), 429, "60", "page x"},
		{&http.MaxBytesError{Limit: 1}, 413, "", "page too_large"},
	} {
		b := newEdge(t, "https://id.example.org")
		w := b.serve(func(http.ResponseWriter, *http.Request) error { return c.err }, request(http.MethodGet, "https://id.example.org/page/1"))
		if w.Code != c.status || w.Header().Get("Retry-After") != c.after || !strings.Contains(w.Body.String(), c.says) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: %d, after %q: %s", c.err, w.Code, w.Header().Get("Retry-After"), w.Body)
		}
	}
}

func TestAttack_D08_HeadersFollowTheIssuersScheme(t *testing.T) {
	t.Parallel()
	for issuer, hsts := range map[string]bool{"https://id.example.org": true, "http://127.0.0.1:8080": false} {
		b := newEdge(t, issuer)
		w := b.serve(func(w http.ResponseWriter, _ *http.Request) error {
			b.Cookies.SetSession(w, "x")
			return nil
		}, request(http.MethodGet, issuer+"/page/1"))
		if got := w.Header().Get("Strict-Transport-Security") != ""; got != hsts {
			t.Errorf("%s: HSTS %v", issuer, got)
		}
		c := w.Header().Get("Set-Cookie")
		if strings.HasPrefix(c, "__Host-idp_session=") != hsts || strings.Contains(c, "; Secure") != hsts || !strings.Contains(c, "; HttpOnly") || !strings.Contains(c, "; SameSite=Lax") || !strings.Contains(c, "; Path=/") || strings.Contains(c, "Domain") {
			t.Errorf("%s: %s", issuer, c)
		}
	}
}

func TestAttack_F11_ForwardedAddressesCountAsFarAsTheyAreVouchedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		proxies []string
		peer    string
		sent    []string
		want    string
	}{
		{nil, "192.0.2.1:1", []string{"203.0.113.9"}, "192.0.2.1"},
		{[]string{"10.0.0.0/8"}, "192.0.2.1:1", []string{"203.0.113.9"}, "192.0.2.1"},
		{[]string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{[]string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		{[]string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},
		{[]string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"203.0.113.9, 10.2.2.2"}, "203.0.113.9"},
		{[]string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"203.0.113.9, x, 10.2.2.2"}, "10.2.2.2"},
		{[]string{"10.0.0.0/8"}, "10.1.1.1:1", nil, "10.1.1.1"},
		{[]string{"10.0.0.0/8"}, "[::ffff:10.1.1.1]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{[]string{"fd00::/8"}, "[fd00::1%eth0]:1", []string{"2001:db8::1%evil"}, "2001:db8::1"},
		{nil, "no address", []string{"203.0.113.9"}, ""},
	} {
		b := newEdge(t, "https://id.example.org", c.proxies...)
		r := request(http.MethodGet, "https://id.example.org/page/1")
		r.RemoteAddr = c.peer
		for _, s := range c.sent {
			r.Header.Add("X-Forwarded-For", s)
		}
		got := "unset"
		b.serve(func(_ http.ResponseWriter, r *http.Request) error { got = web.Info(r.Context()).IP; return nil }, r)
		if got != c.want {
			t.Errorf("%s through %v with %q: %q, want %q", c.peer, c.proxies, c.sent, got, c.want)
		}
	}
}

func TestAttack_D15_CrossSiteFormsReachNoPage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, site, origin string
		passes               bool
	}{
		{http.MethodPost, "cross-site", "", false}, {http.MethodPost, "same-site", "", false}, {http.MethodPost, "", "https://evil.example", false}, {http.MethodPost, "", "null", false},
		{http.MethodPost, "same-origin", "", true}, {http.MethodPost, "none", "", true}, {http.MethodPost, "", "https://id.example.org", true}, {http.MethodPost, "", "", true}, {http.MethodGet, "cross-site", "", true},
		{http.MethodPut, "cross-site", "", false}, {http.MethodDelete, "", "https://evil.example", false},
	} {
		b := newEdge(t, "https://id.example.org")
		r := request(c.method, "https://id.example.org/page/1")
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		reached := false
		w := b.serve(func(http.ResponseWriter, *http.Request) error { reached = true; return nil }, r)
		if reached != c.passes || (w.Code == http.StatusForbidden) == c.passes {
			t.Errorf("%+v: reached %v, %d", c, reached, w.Code)
		}
	}
}

// What a form may end at is named; nothing that is not one origin gets into the policy.
func TestAllowFormTarget_NamesOriginsAlone(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"https://app.example/cb?x": "https://app.example", "http://127.0.0.1:49152/cb": "http://127.0.0.1:49152", "com.example.tide:/cb": "com.example.tide:", "https://app.example:8443": "https://app.example:8443", "": "", "//evil": "", ":": "",
		"https://[::1]:1/": "https://[::1]:1",
	} {
		if got := web.FormTarget(target); got != want {
			t.Errorf("%q: %q, want %q", target, got, want)
		}
	}
	w := httptest.NewRecorder()
	web.AllowFormTarget(w, "https://app.example", "", "evil; script-src *", "a b", "x'y", "x\ny", "com.example.tide:")
	if got := w.Header().Get("Content-Security-Policy"); !strings.HasSuffix(got, "form-action 'self' https://app.example com.example.tide:") || strings.Contains(got, "*") {
		t.Error(got)
	}
}

func TestOnlyMethods_SaysWhatThereIs(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example.org")
	for method, want := range map[string]int{http.MethodPut: 405, "EVIL": 405, http.MethodOptions: 204} {
		w := httptest.NewRecorder()
		b.OnlyMethods("GET, HEAD").ServeHTTP(w, request(method, "https://id.example.org/"))
		if w.Code != want || w.Header().Get("Allow") != "GET, HEAD" || strings.Contains(w.Body.String(), "EVIL") {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
}

func TestOAuthOf_SaysNothingOfTheInside(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{errors.New("secret"), 500, "server_error"}, {fault.New(fault.Invalid, "x", "send y"), 400, "invalid_request"}, {fault.New(fault.TooMany, "x", "wait"), 429, "temporarily_unavailable"},
		{fault.New(fault.Unavailable, "x", "wait"), 503, "temporarily_unavailable"}, {&http.MaxBytesError{}, 413, "invalid_request"}, {&web.OAuthError{Status: 401, Code: "invalid_client", Cause: errors.New("secret")}, 401, "invalid_client"},
	} {
		w := httptest.NewRecorder()
		web.WriteOAuth(w, request(http.MethodPost, "/token"), c.err)
		var got map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != c.status || got["error"] != c.code || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
		}
		if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v: %v", c.err, w.Header())
		}
	}
}
