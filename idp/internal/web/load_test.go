package web_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ellis.example/idp/internal/web"
)

func TestEdge_RequestsOutOfBoundsReachNoHandler(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example")
	reached := false
	h := b.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	kind := "application/x-www-form-urlencoded"
	send := func(query, body, accept string, fields ...string) *httptest.ResponseRecorder {
		reached = false
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "https://id.example/token?"+query, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Accept", accept)
		for _, f := range fields {
			r.Header.Add(f, "x")
		}
		h.ServeHTTP(w, r)
		return w
	}
	hundred := strings.Repeat("a=&", 99) + "a="
	names, same := make([]string, 99), slices.Repeat([]string{"X-Field"}, 99)
	for i := range names {
		names[i] = "X-Field-" + strconv.Itoa(i)
	}
	if w := send(hundred, hundred, "", names[:98]...); w.Code != http.StatusOK || !reached {
		t.Errorf("within bounds: %d %s", w.Code, w.Body)
	}
	if w := send("", "", "", same[:98]...); w.Code != http.StatusOK || !reached {
		t.Errorf("one field in as many lines as there may be: %d %s", w.Code, w.Body)
	}
	type refusal struct {
		w      *httptest.ResponseRecorder
		status int
		text   string
	}
	refusals := map[string]refusal{
		"query":        {send(hundred+"&", "", ""), http.StatusBadRequest, `{"error":"invalid_request","error_description":"the request has too many parameters`},
		"form":         {send("", hundred+"&", ""), http.StatusBadRequest, `{"error":"invalid_request","error_description":"the request has too many parameters`},
		"form, person": {send("", hundred+"&", "text/html"), http.StatusBadRequest, "the request has too many parameters"},
		"fields":       {send("", "", "", names...), http.StatusRequestHeaderFieldsTooLarge, `{"error":"invalid_request","error_description":"the request has too many header fields`},
		"lines":        {send("", "", "", same...), http.StatusRequestHeaderFieldsTooLarge, `{"error":"invalid_request","error_description":"the request has too many header fields`},
	}
	for _, kind = range []string{"Application/X-WWW-Form-URLEncoded", "application/x-www-form-urlencoded ;charset", " application/x-www-form-urlencoded"} { // ParseForm reads all of them
		refusals[kind] = refusal{send("", hundred+"&", ""), http.StatusBadRequest, `{"error":"invalid_request"`}
	}
	for what, c := range refusals {
		if c.w.Code != c.status || !strings.HasPrefix(c.w.Body.String(), c.text) || reached {
			t.Errorf("%s: %d %s", what, c.w.Code, c.w.Body)
		}
	}
}

func TestEvents_RefuseWhatIsTooLargeOrTooDeepBeforeAnybodyReadsIt(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example")
	reached := false
	h := b.Wrap(b.Events(func(http.ResponseWriter, *http.Request) error { reached = true; return nil }))
	for body, status := range map[string]int{
		strings.Repeat("[", 8): http.StatusOK, `{"a":"` + strings.Repeat("[", 20) + `"}`: http.StatusOK, strings.Repeat("[]", 20): http.StatusOK,
		strings.Repeat("[", 9): http.StatusBadRequest, strings.Repeat("x", 64<<10+1): http.StatusRequestEntityTooLarge,
	} {
		reached = false
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "https://id.example/events/poll", strings.NewReader(body))
		r.Header.Set("Content-Type", "Application/JSON")
		h.ServeHTTP(w, r)
		if w.Code != status || reached != (status == http.StatusOK) || (!reached && !strings.HasPrefix(w.Body.String(), `{"err":"invalid_request"`)) {
			t.Errorf("%.30s: %d %s", body, w.Code, w.Body)
		}
	}
}

// The bounds of a process hold for its public listener alone, and its private one tells of them.
func TestLoad_BoundsThePublicListenerAndIsTold(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	load, state := web.NewLoad(reg, 4), &web.State{}
	s := web.Servers{
		Log: slog.New(slog.DiscardHandler), State: state, Load: load, Drain: 5 * time.Second, Public: http.NotFoundHandler(),
		Private: web.Private(state, reg, func(context.Context) []string { return nil }),
	}
	ctx, cancel := context.WithCancel(t.Context())
	public, private := listener(t), listener(t)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, public, private) }()
	for range 20 { // each with a connection of its own, which stays
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+public.Addr().String(), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		c := &http.Transport{}
		t.Cleanup(c.CloseIdleConnections)
		res, err := c.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body) // else the connection does not stay
		_ = res.Body.Close()
	}
	_, text, err := fetch(t, "http://"+private.Addr().String()+"/metrics")
	if err != nil || !strings.Contains(text, "idp_connections_most 4\n") {
		t.Error(text, err)
	}
	open, room := -1, 0
	for line := range strings.Lines(text) {
		_, _ = fmt.Sscanf(line, "idp_connections %d", &open)
		_, _ = fmt.Sscanf(line, `idp_shed_total{what="room"} %d`, &room)
	}
	if open < 1 || open > 4 || room < 16 {
		t.Errorf("%d are open, %d made room", open, room)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// However few connections there are, requests and polls do not take all of them.
func TestLoad_APartOfTheConnectionsIsForWhoNeedsNoPlace(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example")
	entered, release := make(chan struct{}, 64), make(chan struct{})
	wrapped := b.withLoad(web.NewLoad(prometheus.NewRegistry(), 16)).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	}))
	var all sync.WaitGroup
	var refused atomic.Int64
	for _, path := range []string{"/token", "/events/poll"} {
		for range 16 {
			all.Go(func() {
				w := httptest.NewRecorder()
				if wrapped.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "https://id.example"+path, http.NoBody)); w.Code == http.StatusServiceUnavailable {
					refused.Add(1)
				}
			})
		}
	}
	for end := time.Now().Add(10 * time.Second); int(refused.Load())+len(entered) < 32 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if n := len(entered); n != 8+4 {
		t.Errorf("%d of 16 connections are worked for", n)
	}
	close(release)
	all.Wait()
}
