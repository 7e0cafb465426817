package web_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"ellis.example/idp/internal/web"
)

// places is how many requests the edge works on at once.
const places = 1024

func TestBeyondWhatCanBeWorkedOnRequestsAreTurnedAwayButKeysAndPollsAreNot(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example")
	release, entered := make(chan struct{}), make(chan struct{}, places)
	current := func(context.Context) ([]byte, string, error) { return []byte("{}"), `"1"`, nil }
	b.Publish("/jwks", &web.Document{Type: "application/json", Current: current})
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
	if w := get("/.well-known/nothing"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a page that is not found: %d", w.Code)
	}
	for path, method := range map[string]string{"/jwks": http.MethodHead, "/events/poll": http.MethodGet, "/assets/x": http.MethodGet} { // HEAD goes to the router
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest(method, "https://id.example"+path, nil)); w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	close(release)
	all.Wait()
	if w := get("/token"); w.Code != http.StatusOK {
		t.Errorf("after the crowd: %d", w.Code)
	}
}

// Those who send a body byte by byte take no place of anybody.
func TestWhoSendsABodySlowlyHoldsUpNobody(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example")
	h := b.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) }))
	var all sync.WaitGroup
	bodies := make([]*io.PipeWriter, places)
	for i := range bodies {
		body, w := io.Pipe()
		bodies[i] = w
		all.Go(func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "https://id.example/token", body))
		})
	}
	for _, w := range bodies { // once the first byte was taken, somebody waits for the second
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://id.example/token", nil))
	if w.Code != http.StatusOK {
		t.Errorf("beside %d slow ones: %d", places, w.Code)
	}
	for _, w := range bodies {
		_ = w.Close()
	}
	all.Wait()
}

// untouched is a body that nobody may ask for.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body of one who is turned away was read")
	return 0, io.EOF
}

func TestWhoIsTurnedAwayIsNotReadAndToldInTheFormAskedFor(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example")
	release, entered := make(chan struct{}), make(chan struct{}, places)
	h := b.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	}))
	var all sync.WaitGroup
	for range places {
		all.Go(func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "https://id.example/held", nil))
		})
	}
	for range places {
		<-entered
	}
	for accept, want := range map[string]string{"text/html,*/*": "text/plain; charset=utf-8", "application/json": "application/json", "": "application/json"} {
		r := httptest.NewRequest(http.MethodPost, "https://id.example/token", untouched{t})
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Type") != want || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Retry-After") != "2" {
			t.Errorf("%q: %d, %v", accept, w.Code, w.Header())
		}
	}
	close(release)
	all.Wait()
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
