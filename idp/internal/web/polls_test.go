package web_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"ellis.example/idp/internal/web"
)

// pollPlaces is how many polls are looked at at once.
const pollPlaces = 64

// A poll of the feed takes a place until its client is known and it only waits: strangers cannot pile them up, and cannot take
// the places of other requests with them.
func TestPollsAreCountedUnlessTheyOnlyWait(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example")
	release, entered, woken := make(chan struct{}), make(chan struct{}, 2*pollPlaces), make(chan struct{}, pollPlaces)
	done := make(chan struct{})
	h := b.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			web.Info(r.Context()).Waits(true)
		}
		if r.URL.Path == "/events/poll" {
			entered <- struct{}{}
			<-release
			if r.Header.Get("Authorization") != "" {
				web.Info(r.Context()).Waits(false)
				web.Info(r.Context()).Waits(false) // what was said already changes nothing
				woken <- struct{}{}
				<-done
			}
		}
	}))
	send := func(path string, known bool) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "https://id.example"+path, nil)
		if known {
			r.Header.Set("Authorization", "Basic x")
		}
		h.ServeHTTP(w, r)
		return w
	}
	var all sync.WaitGroup
	for range pollPlaces {
		all.Go(func() { send("/events/poll", true) })
	}
	for range pollPlaces {
		<-entered
	}
	for range pollPlaces { // beside as many that wait
		all.Go(func() { send("/events/poll", false) })
	}
	for range pollPlaces {
		<-entered
	}
	if w := send("/events/poll", false); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "2" {
		t.Errorf("one stranger more: %d, %v", w.Code, w.Header())
	}
	if w := send("/token", false); w.Code != http.StatusOK {
		t.Errorf("another request: %d", w.Code)
	}
	close(release)
	for range pollPlaces { // none of those that waited is turned away
		<-woken
	}
	if w := send("/events/poll", false); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one more beside those that are answered: %d", w.Code)
	}
	close(done)
	all.Wait()
	if w := send("/events/poll", false); w.Code != http.StatusOK {
		t.Errorf("after the crowd: %d", w.Code)
	}
}
