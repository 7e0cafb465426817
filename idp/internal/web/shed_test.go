package web_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// places is how many requests the edge works on at once.
const places = 1024

func TestBeyondWhatCanBeWorkedOnRequestsAreTurnedAwayButKeysAndPollsAreNot(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example")
	release, entered := make(chan struct{}), make(chan struct{}, places)
	h := b.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			entered <- struct{}{}
			<-release
		}
	}))
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://id.example"+path, nil))
		return w
	}
	var all sync.WaitGroup
	for range places {
		all.Go(func() { get("/held") })
	}
	for range places {
		<-entered
	}
	for range places { // those who are turned away take no place
		if w := get("/token"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "2" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("one more: %d, %v", w.Code, w.Header())
		}
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/jwks", "/events/poll"} {
		if w := get(path); w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	close(release)
	all.Wait()
	if w := get("/token"); w.Code != http.StatusOK {
		t.Errorf("after the crowd: %d", w.Code)
	}
}

func TestABodyThatIsTooLargeSaysSoToTheHandler(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example")
	for name, read := range map[string]func(io.Reader) error{
		"Read":    func(r io.Reader) error { _, err := io.ReadAll(r); return err },
		"WriteTo": func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err },
	} {
		for size, large := range map[int]bool{64 << 10: false, 64<<10 + 1: true} {
			var got error
			h := b.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = read(r.Body) }))
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "https://id.example/token", strings.NewReader(strings.Repeat("x", size))))
			if over := (*http.MaxBytesError)(nil); errors.As(got, &over) != large {
				t.Errorf("%s of %d bytes: %v", name, size, got)
			}
		}
	}
}
