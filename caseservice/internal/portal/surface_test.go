package portal_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/portal"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/signin/issuertest"
)

// surface is what each route answers to a GET and to an empty POST: of a stranger, and of somebody who is signed in.
var surface = map[string]struct{ get, getOwn, post, postOwn int }{
	"/{$}":            {200, 303, 405, 405},
	"/signin":         {303, 303, 405, 405},
	"/callback":       {410, 303, 405, 405},
	"/signout":        {303, 200, 303, 303},
	"/signed-out":     {200, 303, 405, 405},
	"/cases":          {401, 200, 405, 405},
	"/cases/{id}":     {401, 404, 405, 405},
	"/claim":          {401, 200, 401, 403},
	"/claim/review":   {401, 303, 405, 405},
	"/claim/send":     {303, 303, 401, 303},
	"/language":       {405, 405, 403, 403},
	"/help":           {200, 200, 405, 405},
	"/privacy":        {200, 200, 405, 405},
	"/not-government": {200, 200, 405, 405},
	"/":               {404, 404, 404, 404},
}

// Each route, asked by each caller: every answer has the headers that browser.send looks at, and nothing of a case stands
// in what a stranger gets.
func TestAttack_H04_EachPageAsksWhoComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, ana)
	for path := range portal.New(portal.Config{}).Surface() {
		if _, ok := surface[path]; !ok {
			t.Errorf("%s: which answers are right?", path)
		}
	}
	own := w.browser()
	own.signIn()
	for path, want := range surface {
		path = strings.NewReplacer("{$}", "", "{id}", "cas_00000000000000000000000000").Replace(path)
		if path == "/" && want.get == 404 {
			path = "/there/is/no/such/page"
		}
		for _, ask := range []struct {
			b      *browser
			method string
			want   int
		}{
			{w.browser(), http.MethodGet, want.get}, {own, http.MethodGet, want.getOwn},
			{w.browser(), http.MethodPost, want.post}, {own, http.MethodPost, want.postOwn},
			{w.browser(), http.MethodPut, 405}, {own, http.MethodDelete, 405}, {own, http.MethodOptions, 405}, {w.browser(), "BREW", 405},
		} {
			var form url.Values
			if ask.method == http.MethodPost {
				form = url.Values{"x": {""}}
			}
			p := ask.b.send(ask.b.request(ask.method, path, form))
			if p.status != ask.want {
				t.Errorf("%s %s: %d, want %d (to %q)", ask.method, path, p.status, ask.want, p.header.Get("Location"))
			}
			if p.status == 405 && p.header.Get("Allow") == "" && want.get != 404 {
				t.Errorf("%s %s: Allow is missing", ask.method, path)
			}
			if ask.b != own && strings.Contains(p.body, c.receipt) {
				t.Errorf("%s %s shows a case to a stranger", ask.method, path)
			}
			if p.status >= 400 && !strings.Contains(p.body, "<h1") {
				t.Errorf("%s %s: %d is no page", ask.method, path, p.status)
			}
		}
	}
}

func TestAttack_H01_AnothersCaseIsTheSamePageAsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, "sub-other")
	b := w.browser()
	b.signIn()
	theirs, none := b.get("/cases/"+c.id), b.get("/cases/cas_"+strings.Repeat("0", len(c.id)-4))
	for _, p := range []*page{&theirs, &none} {
		p.body = strings.ReplaceAll(p.body, strings.TrimPrefix(p.at(), "/cases/"), "ID")
		if p.status != http.StatusNotFound {
			t.Errorf("%s: %d", p.at(), p.status)
		}
	}
	if theirs.body != none.body {
		t.Errorf("%s\n%s", theirs.body, none.body)
	}
	for _, id := range []string{"x", "..", "cas_", c.id + "x", strings.ToUpper(c.id), "%2e%2e", "cas_%00", "cas_%2f" + c.id, strings.Repeat("c", 5000)} {
		calls, _ := w.door.seen()
		p := b.get("/cases/" + id)
		if after, _ := w.door.seen(); p.status != http.StatusNotFound || len(after) != len(calls) {
			t.Errorf("%q: %d, and the API was asked %q", id, p.status, after[len(calls):])
		}
	}
}

func TestForms_TakeTheirOwnTokenOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, "")
	w.strong(ana)
	b, other := w.browser(), w.browser()
	b.signIn()
	other.signIn()
	claim, foreign := b.get("/claim"), other.get("/claim")
	token := claim.form(t, "/claim").Get("csrf_token")
	for name, f := range map[string]url.Values{
		"none":            {},
		"empty":           {"csrf_token": {""}},
		"another purpose": {"csrf_token": {claim.form(t, "/signout").Get("csrf_token")}},
		"another browser": {"csrf_token": {foreign.form(t, "/claim").Get("csrf_token")}},
		"altered":         {"csrf_token": {flip(token[0]) + token[1:]}},
		"longer":          {"csrf_token": {token + "A"}},
	} {
		f.Set("receipt", c.receipt)
		f.Set("code", c.code)
		p := b.post("/claim", f)
		if p.status != http.StatusForbidden || squeeze(p.form(t, "/claim").Get("code")) != squeeze(c.code) {
			t.Errorf("%s: %d at %s", name, p.status, p.at())
		}
	}
	good := url.Values{"csrf_token": {token}, "receipt": {c.receipt}, "code": {c.code}}
	for name, send := range map[string]func() *http.Request{
		"twice": func() *http.Request {
			f := url.Values{"csrf_token": {token, token}, "receipt": {c.receipt}, "code": {c.code}}
			return b.request(http.MethodPost, "/claim", f)
		},
		"a field twice": func() *http.Request {
			f := url.Values{"csrf_token": {token}, "receipt": {c.receipt, "IOE1"}, "code": {c.code}}
			return b.request(http.MethodPost, "/claim", f)
		},
		"as text": func() *http.Request {
			r := b.request(http.MethodPost, "/claim", good)
			r.Header.Set("Content-Type", "text/plain")
			return r
		},
		"as JSON": func() *http.Request {
			r := b.request(http.MethodPost, "/claim", good)
			r.Header.Set("Content-Type", "application/json")
			return r
		},
		"not UTF-8": func() *http.Request {
			return b.request(http.MethodPost, "/claim", url.Values{"csrf_token": {token}, "receipt": {"\xff"}, "code": {c.code}})
		},
		"in the query": func() *http.Request {
			return b.request(http.MethodPost, "/claim?"+good.Encode(), url.Values{"receipt": {c.receipt}})
		},
		"from another site": func() *http.Request {
			r := b.request(http.MethodPost, "/claim", good)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			return r
		},
		"from a sister site": func() *http.Request {
			r := b.request(http.MethodPost, "/claim", good)
			r.Header.Set("Sec-Fetch-Site", "same-site")
			return r
		},
		"from another origin": func() *http.Request {
			r := b.request(http.MethodPost, "/claim", good)
			r.Header.Set("Origin", "https://evil.example")
			return r
		},
		"from no origin": func() *http.Request {
			r := b.request(http.MethodPost, "/claim", good)
			r.Header.Set("Origin", "null")
			return r
		},
		"too much": func() *http.Request {
			return b.request(http.MethodPost, "/claim", url.Values{"csrf_token": {token}, "receipt": {strings.Repeat("x", 20<<10)}})
		},
	} {
		if p := b.send(send()); p.status != http.StatusForbidden && p.status != http.StatusBadRequest && p.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d to %q", name, p.status, p.header.Get("Location"))
		}
	}
	if _, keys := w.door.seen(); len(keys) != 0 {
		t.Errorf("%d claims were sent", len(keys))
	}
	if p := b.post("/claim", good); p.at() != "/cases/"+c.id {
		t.Errorf("the form itself: %d at %s", p.status, p.at())
	}
}

func TestLanguage_ChosenThenOfTheBrowserThenEnglish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for accept, want := range map[string]string{
		"": "en", "es": "es", "es-419,en;q=0.5": "es", "en-GB,es;q=0.9": "en", "fr, es;q=0.5": "es", "fr": "en", "de-CH, *;q=0.1": "en",
		";;;=": "en", strings.Repeat("es,", 200): "en",
	} {
		b := w.browser()
		b.header["Accept-Language"] = accept
		for _, path := range []string{"/", "/help", "/no/such/page", "/cases", "/signed-out"} {
			p := b.get(path)
			if !strings.Contains(p.body, `<html lang="`+want+`">`) || p.header.Get("Content-Language") != want || !strings.Contains(strings.Join(p.header.Values("Vary"), ","), "Accept-Language") {
				t.Errorf("%q at %s: %s", accept, path, p.header.Get("Content-Language"))
			}
		}
	}
	b := w.browser()
	b.header["Accept-Language"] = "en"
	p := b.submit(b.get("/help?a=b"), "/language", "lang", "es")
	if p.at() != "/help?a=b" || p.header.Get("Content-Language") != "es" {
		t.Errorf("%s at %s", p.header.Get("Content-Language"), p.at())
	}
	b.signIn()
	if q := w.issuer.Requests(); q[len(q)-1].Get("ui_locales") != "es" {
		t.Error("the issuer is asked in another language")
	}
	b.submit(b.get("/help"), "/language", "lang", "xx")
	if p := b.get("/cases"); p.header.Get("Content-Language") != "es" {
		t.Error("a language that we do not speak was chosen")
	}
	b.submit(b.get("/cases"), "/language", "lang", "en")
	if p := b.get("/cases"); p.header.Get("Content-Language") != "en" || p.status != http.StatusOK {
		t.Error("it cannot be changed back")
	}
}

func TestHost_OtherNamesAreNotAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	for _, host := range []string{"evil.example", "localhost", "127.0.0.1", "127.0.0.1:1", "portal.example:8082"} {
		r := b.request(http.MethodGet, "/", nil)
		r.Host = host
		p := b.send(r)
		if p.status != http.StatusMisdirectedRequest || strings.Contains(p.body, host+`"`) || len(p.header.Values("Set-Cookie")) != 0 {
			t.Errorf("%s: %d %v", host, p.status, p.header)
		}
	}
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-HTTP-Method-Override", "X-Remote-User"} {
		r := b.request(http.MethodGet, "/cases", nil)
		r.Header.Set(name, "evil.example/help")
		if p := b.send(r); p.status != http.StatusUnauthorized || strings.Contains(p.body, "evil.example") {
			t.Errorf("%s: %d", name, p.status)
		}
	}
}

func TestAttack_H10_MalformedRequestLinesReachNoPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	host := strings.TrimPrefix(w.url, "http://")
	for _, line := range []string{
		"GET  /cases HTTP/1.1", "GET cases HTTP/1.1", "GET /cases HTTP/9.9", "GET /cases\x00 HTTP/1.1", "GET /%zz HTTP/1.1", "G\tET /cases HTTP/1.1", "GET /cases",
		"CONNECT /cases HTTP/1.1", "GET ../cases HTTP/1.1", "GET \\cases HTTP/1.1",
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = fmt.Fprintf(conn, "%s\r\nHost: %s\r\nConnection: close\r\n\r\n", line, host)
		answer, _ := io.ReadAll(bufio.NewReader(conn))
		if strings.HasPrefix(string(answer), "HTTP/1.1 2") {
			t.Errorf("%q: %.60s", line, answer)
		}
		_ = conn.Close()
	}
}

func TestCookies_OverHttpsCannotBePlantedOrRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := &recorder{h: http.Header{}}
	c := signin.NewCookies(true)
	c.Set(rec, signin.CookieSession, "x", 0)
	c.Clear(rec, signin.CookieSession)
	for _, s := range rec.h.Values("Set-Cookie") {
		for _, part := range []string{"__Host-portal_session=", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
			if !strings.Contains(s, part) {
				t.Errorf("%q lacks %s", s, part)
			}
		}
		if strings.Contains(s, "Domain") {
			t.Error(s)
		}
	}
	b := w.browser()
	b.signIn()
	var names []string
	u, _ := url.Parse(w.url)
	for _, c := range b.jar.Cookies(u) {
		names = append(names, c.Name)
		if len(c.Value) > 64 {
			t.Errorf("%s holds more than an identifier", c.Name)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"portal_csrf", "portal_session"}) {
		t.Errorf("%q", names)
	}
}

type recorder struct{ h http.Header }

func (r *recorder) Header() http.Header         { return r.h }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
func (r *recorder) WriteHeader(int)             {}

func TestFormAction_LeadsToTheIssuerAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.signIn()
	if csp := b.get("/claim").header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self' "+w.issuer.URL) {
		t.Errorf("%q", csp)
	}
}

func TestPanic_IsAPageWithASupportCodeThatFindsTheLogLine(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, func(c *portal.Config) { c.API = nil })
	b := w.browser()
	p := b.get("/signin")
	id := p.header.Get("X-Request-Id")
	if p.status != http.StatusInternalServerError || !strings.Contains(p.body, id) || strings.Contains(p.body, "goroutine") || strings.Contains(p.body, "nil pointer") {
		t.Fatalf("%d %s", p.status, p.body)
	}
	if log := w.log.String(); !strings.Contains(log, "nil pointer") || !strings.Contains(log, id) || !strings.Contains(log, `"level":"ERROR"`) {
		t.Error(log)
	}
}

// Neither pages nor logs hold what opens something.
func TestLog_HoldsNoTokenReceiptOrCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, "")
	b := w.browser()
	b.signIn()
	b.submit(b.claim(c.receipt, c.code), "/claim/send")
	b.get("/cases/" + c.id + "?x=secret-in-a-query")
	b.get("/signin?return_to=/cases")
	w.issuer.Misbehave(issuertest.Hooks{Answer: func(q url.Values) { q.Set("iss", "https://evil.example") }})
	other := w.browser()
	other.get("/signin")
	log := w.log.String()
	for _, s := range append(w.issuer.Secrets(), c.receipt, squeeze(c.code), c.code, c.id, ana, "secret-in-a-query", b.cookie("portal_session"), issuertest.ClientSecret) {
		if strings.Contains(log, s) {
			t.Errorf("the log holds %q", s)
		}
	}
	if !strings.Contains(log, `"route":"/cases/{id}"`) || !strings.Contains(log, `"route":"/callback"`) {
		t.Error(log)
	}
}
