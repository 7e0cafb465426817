package web_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ellis.example/caseservice/internal/web"
)

// places is how many requests the edge works on at once.
const places = 1024

func edge(h http.HandlerFunc) http.Handler {
	return web.Edge{Log: slog.New(slog.DiscardHandler)}.Wrap(h)
}

func answer(h http.Handler, accept string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/other", nil)
	r.Header.Set("Accept", accept)
	h.ServeHTTP(w, r)
	return w
}

func TestBeyondWhatCanBeWorkedOnRequestsAreTurnedAway(t *testing.T) {
	t.Parallel()
	release, entered := make(chan struct{}), make(chan struct{}, places)
	h := edge(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			entered <- struct{}{}
			<-release
			panic("a place is given back whatever happens")
		}
	})
	var all sync.WaitGroup
	for range places {
		all.Go(func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/held", nil)) })
	}
	for range places {
		<-entered
	}
	for accept, kind := range map[string]string{"text/html,*/*": "text/plain; charset=utf-8", "application/json": "application/problem+json", "": "application/problem+json"} {
		w := answer(h, accept)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "2" || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != kind {
			t.Errorf("%q: %d, %v", accept, w.Code, w.Header())
		}
		var p web.Problem
		if strings.Contains(kind, "json") && (json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Code != "temporarily_unavailable" || p.Status != w.Code) {
			t.Errorf("%s", w.Body)
		}
	}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/assets/x", nil)); w.Code != http.StatusOK {
		t.Errorf("what lies ready: %d", w.Code)
	}
	close(release)
	all.Wait()
	if w := answer(h, ""); w.Code != http.StatusOK {
		t.Errorf("after the crowd: %d", w.Code)
	}
}

// Those who send a body byte by byte take no place of anybody.
func TestWhoSendsABodySlowlyHoldsUpNobody(t *testing.T) {
	t.Parallel()
	h := edge(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) })
	var all sync.WaitGroup
	bodies := make([]*io.PipeWriter, places)
	for i := range bodies {
		body, w := io.Pipe()
		bodies[i] = w
		all.Go(func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/claims", body)) })
	}
	for _, w := range bodies { // once the first byte was taken, somebody waits for the second
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if w := answer(h, ""); w.Code != http.StatusOK {
		t.Errorf("beside %d slow ones: %d", places, w.Code)
	}
	for _, w := range bodies {
		_ = w.Close()
	}
	all.Wait()
}

// An app is told at once; a browser gets a page from the handler.
func TestABodyThatIsTooLargeIsToldSo(t *testing.T) {
	t.Parallel()
	for _, accept := range []string{"", "text/html"} {
		for size, large := range map[int]bool{16 << 10: false, 16<<10 + 1: true} {
			var got error
			n := -1
			h := edge(func(_ http.ResponseWriter, r *http.Request) {
				text, err := io.ReadAll(r.Body)
				n, got = len(text), err
			})
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/claims", strings.NewReader(strings.Repeat("x", size)))
			r.Header.Set("Accept", accept)
			h.ServeHTTP(w, r)
			if large && accept == "" {
				if p := problem(t, w); w.Code != http.StatusRequestEntityTooLarge || p.Code != "body_too_large" || n >= 0 {
					t.Errorf("%d bytes: %d %+v, the handler read %d", size, w.Code, p, n)
				}
				continue
			}
			if over := (*http.MaxBytesError)(nil); errors.As(got, &over) != large || n != 16<<10 {
				t.Errorf("%d bytes for %q: %d were read, %v", size, accept, n, got)
			}
		}
	}
}

func problem(t *testing.T, w *httptest.ResponseRecorder) (p web.Problem) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code {
		t.Errorf("%d %s: %v", w.Code, w.Body, err)
	}
	return p
}

func TestRequestsOutOfBoundsReachNoHandler(t *testing.T) {
	t.Parallel()
	reached := false
	h := edge(func(http.ResponseWriter, *http.Request) { reached = true })
	name := "X-Field-%d"
	send := func(query, kind, body string, fields int) *httptest.ResponseRecorder {
		reached = false
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/claims?"+query, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		for i := range fields {
			r.Header.Add(strings.ReplaceAll(name, "%d", strconv.Itoa(i)), "x")
		}
		h.ServeHTTP(w, r)
		return w
	}
	const form, js = "application/x-www-form-urlencoded", "application/json; charset=utf-8"
	hundred := strings.Repeat("a=&", 99) + "a="
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, ok := range map[string]*httptest.ResponseRecorder{
		"query": send(hundred, form, "", 0), "form": send("", form, hundred, 0), "fields": send("", form, "", 99),
		"depth": send("", js, nested(8), 0), "brackets in a text": send("", js, `{"a":"\"`+nested(9)+`"}`, 0), "no form": send("", "text/plain", hundred+"&", 0),
	} {
		if ok.Code != http.StatusOK {
			t.Errorf("%s within bounds: %d %s", name, ok.Code, ok.Body)
		}
	}
	for code, bad := range map[string]struct {
		w      *httptest.ResponseRecorder
		status int
	}{
		"parameters": {send(hundred+"&", form, "", 0), http.StatusBadRequest}, "header_fields": {send("", form, "", 100), http.StatusRequestHeaderFieldsTooLarge},
		"json_depth": {send("", js, nested(9), 0), http.StatusBadRequest},
	} {
		if p := problem(t, bad.w); bad.w.Code != bad.status || p.Code != code {
			t.Errorf("%s: %d %+v", code, bad.w.Code, p)
		}
	}
	name = "X-Field"
	if w := send("", form, "", 100); w.Code != http.StatusRequestHeaderFieldsTooLarge || reached {
		t.Errorf("lines of one field: %d %s, reached: %v", w.Code, w.Body, reached)
	}
	for code, w := range map[string]*httptest.ResponseRecorder{"json_depth": send("", "Application/JSON", nested(9), 0), "parameters": send("", strings.ToUpper(form), hundred+"&", 0)} {
		if w.Code != http.StatusBadRequest || problem(t, w).Code != code {
			t.Errorf("a media type in another case: %d %s, want %s", w.Code, w.Body, code)
		}
	}
	if w := send("", form, hundred+"&a=", 0); w.Code != http.StatusBadRequest || problem(t, w).Code != "parameters" || reached {
		t.Errorf("a form: %d %s, reached: %v", w.Code, w.Body, reached)
	}
}
