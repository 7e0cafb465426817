package portal_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/unit"
)

func TestHome_ShowsEveryCaseWithWhatComesNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.signIn()
	p := b.get("/cases")
	if p.status != http.StatusOK || !strings.Contains(p.body, `<a class="usa-button" href="/claim">`) || strings.Contains(p.body, "cas_") {
		t.Fatalf("nothing yet: %s", p.body)
	}
	one, other := w.seed(1, ana), w.seed(2, "sub-other")
	if err := w.store.Commit(t.Context(), unit.Unit{Writes: []unit.Write{cases.Assign{CaseID: w.seed(3, "").id, Sub: ana, At: w.clock.Now(), Event: ident.New("evt")}}}); err != nil {
		t.Fatal(err)
	}
	p = b.get("/cases")
	for _, text := range []string{`href="/cases/` + one.id + `"`, "Application for Employment Authorization", `datetime="2026-12-15T09:30:00-05:00"`, "Support &lt;i&gt;Center&lt;/i&gt;"} {
		if !strings.Contains(p.body, text) {
			t.Errorf("home lacks %q:\n%s", text, p.body)
		}
	}
	if strings.Count(p.body, `<li class="ellis-card">`) != 2 || strings.Contains(p.body, other.id) || strings.Contains(p.body, other.receipt) {
		t.Error("home shows another person's case")
	}
	p = b.get("/cases/" + one.id)
	for _, text := range []string{`aria-current="step"`, "Case Was Received", "What happens next", "December 15, 2026, 9:30\u00a0AM", "1 Main St", ">August 3, 2026<", ">August 7, 2026, 2:00\u00a0PM\u00a0UTC<"} {
		if !strings.Contains(p.body, text) && !strings.Contains(p.body, strings.ToLower(text)) {
			t.Errorf("the case lacks %q:\n%s", text, p.body)
		}
	}
	b.header["Accept-Language"] = "es"
	if es := b.get("/cases/" + one.id); es.body == p.body || es.header.Get("Content-Language") != "es" {
		t.Error("there is no Spanish page")
	}
}

func TestHome_PagesThroughManyCases(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 103 {
		w.seed(1000+i, ana)
	}
	b := w.browser()
	b.signIn()
	p := b.get("/cases")
	if n := strings.Count(p.body, "IOE"); n < 100 || n > 101 {
		t.Errorf("%d cases", n)
	}
	at := strings.Index(p.body, `href="/cases?after=`)
	if at < 0 {
		t.Fatal("there is no way to the others")
	}
	next := p.body[at+6:]
	if p = b.get(next[:strings.IndexByte(next, '"')]); strings.Count(p.body, `<li class="ellis-card">`) != 3 {
		t.Errorf("%d on the second page", strings.Count(p.body, `<li class="ellis-card">`))
	}
	for _, cursor := range []string{"x", "AAAA", strings.Repeat("c", 400)} {
		if p := b.get("/cases?after=" + cursor); p.at() != "/cases" || p.status != http.StatusOK {
			t.Errorf("cursor %.10q: %d at %s", cursor, p.status, p.at())
		}
	}
	if p := b.get("/cases?after=" + strings.Repeat("c", 600)); p.status != http.StatusNotFound {
		t.Errorf("%d", p.status)
	}
}

func TestApiFails_IsAPageThatSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, ana)
	b := w.browser()
	b.signIn()
	write := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(rw http.ResponseWriter, _ *http.Request) bool {
			rw.Header().Set("Content-Type", kind)
			rw.WriteHeader(status)
			_, _ = rw.Write([]byte(body))
			return true
		}
	}
	const problem = "application/problem+json"
	for name, tc := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request) bool
		status int
	}{
		"500":     {write(500, "text/html", "<h1>oops"), 503},
		"502":     {write(502, problem, `{"code":"x"}`), 503},
		"503":     {write(503, problem, `{"code":"store_unavailable","support_code":"req_from_there"}`), 503},
		"cut off": {func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, 503},
		"HTML":    {write(200, "text/html", "<h1>login to the wifi"), 503},
		"half an answer": {func(rw http.ResponseWriter, _ *http.Request) bool {
			rw.Header().Set("Content-Type", "application/json")
			rw.Header().Set("Content-Length", "1000")
			_, _ = rw.Write([]byte(`{"items":[`))
			return true
		}, 503},
		"no JSON":      {write(200, "application/json", `{"items":`), 503},
		"wrong types":  {write(200, "application/json", `{"items":7,"id":{}}`), 503},
		"far too much": {write(200, "application/json", `{"items":[],"x":"`+strings.Repeat("x", 5<<20)+`"}`), 503},
		"a redirect": {func(rw http.ResponseWriter, r *http.Request) bool {
			http.Redirect(rw, r, w.url+"/help", http.StatusFound)
			return true
		}, 500},
		"forbidden":     {write(403, problem, `{"code":"insufficient_scope"}`), 403},
		"too many":      {write(429, problem, `{"code":"slow_down"}`), 429},
		"teapot":        {write(418, problem, `{"code":"<script>"}`), 500},
		"a 401 in HTML": {write(401, "text/html", "no"), 500},
	} {
		w.door.answers(tc.answer)
		for _, path := range []string{"/cases", "/cases/" + c.id} {
			p := b.get(path)
			if p.status != tc.status || !strings.Contains(p.body, "<h1") || strings.Contains(p.body, "<script") || strings.Contains(p.body, "oops") {
				t.Errorf("%s %s: %d\n%s", name, path, p.status, p.body)
			}
			if tc.status == 503 && (p.header.Get("Retry-After") == "" || !strings.Contains(p.body, `href="`+path+`"`) || !strings.Contains(p.body, p.header.Get("X-Request-Id"))) {
				t.Errorf("%s %s: no way forward", name, path)
			}
		}
	}
	w.door.answers(nil)
	if p := b.get("/cases"); p.status != http.StatusOK {
		t.Errorf("afterwards: %d", p.status)
	}
}

// The case API asks for a step-up where only reading was asked: nothing leads to the issuer by itself, and nothing loops.
func TestApiChallenge_OfAReadIsAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.signIn()
	w.door.answers(func(rw http.ResponseWriter, _ *http.Request) bool {
		rw.Header().Set("WWW-Authenticate", `Bearer error="insufficient_user_authentication", acr_values="urn:ellis:aal2", max_age="300"`)
		rw.WriteHeader(http.StatusUnauthorized)
		return true
	})
	p := b.get("/cases")
	if p.status < 400 || len(p.trail) != 0 {
		t.Errorf("%d over %q", p.status, p.trail)
	}
	if n, _ := w.issuer.Counts(); n != 1 {
		t.Errorf("%d sign-ins", n)
	}
}

// Each page of somebody who reads is one entry of the API's ledger and no more; a page of somebody else is none.
func TestPages_AskTheApiAsThePersonOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.seed(1, ana)
	for i, path := range []string{"/cases", "/cases/" + c.id, "/claim", "/help"} {
		b := w.browser()
		b.get(path)
		if calls, _ := w.door.seen(); i == 0 && len(calls) != 0 {
			t.Errorf("the API was asked %q for a stranger", calls)
		}
		b.signIn()
		before, _ := w.door.seen()
		b.get(path)
		after, _ := w.door.seen()
		want := map[string]string{
			"/cases": "[GET /v1/cases]", "/cases/" + c.id: fmt.Sprintf("[GET /v1/cases/%s GET /v1/cases/%s/events]", c.id, c.id), "/claim": "[]", "/help": "[]",
		}[path]
		if got := fmt.Sprint(after[len(before):]); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	entries, err := w.store.Tail(t.Context(), map[string]int64{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Act != "case.import" && (e.Sub != ana || e.Client != "portal" || e.Txn == "" || e.JTI == "") {
			t.Errorf("%+v", e)
		}
	}
	w.clock.Advance(time.Second)
}
