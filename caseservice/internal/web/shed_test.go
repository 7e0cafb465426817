package web_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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

func TestABodyThatIsTooLargeSaysSoToTheHandler(t *testing.T) {
	t.Parallel()
	for size, large := range map[int]bool{16 << 10: false, 16<<10 + 1: true} {
		var got error
		var n int
		h := edge(func(_ http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(r.Body)
			n, got = len(text), err
		})
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/claims", strings.NewReader(strings.Repeat("x", size))))
		if over := (*http.MaxBytesError)(nil); errors.As(got, &over) != large || n != 16<<10 {
			t.Errorf("%d bytes: %d were read, %v", size, n, got)
		}
	}
}
