package web_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
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
	send := func(query, body, accept string, fields int) *httptest.ResponseRecorder {
		reached = false
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "https://id.example/token?"+query, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", accept)
		for i := range fields {
			r.Header.Set("X-Field-"+strconv.Itoa(i), "x")
		}
		h.ServeHTTP(w, r)
		return w
	}
	hundred := strings.Repeat("a=&", 99) + "a="
	if w := send(hundred, hundred, "", 98); w.Code != http.StatusOK || !reached {
		t.Errorf("within bounds: %d %s", w.Code, w.Body)
	}
	for what, c := range map[string]struct {
		w      *httptest.ResponseRecorder
		status int
		text   string
	}{
		"query":        {send(hundred+"&", "", "", 0), http.StatusBadRequest, `{"error":"invalid_request","error_description":"the request has too many parameters`},
		"form":         {send("", hundred+"&", "", 0), http.StatusBadRequest, `{"error":"invalid_request","error_description":"the request has too many parameters`},
		"form, person": {send("", hundred+"&", "text/html", 0), http.StatusBadRequest, "the request has too many parameters"},
		"fields":       {send("", "", "", 99), http.StatusRequestHeaderFieldsTooLarge, `{"error":"invalid_request","error_description":"the request has too many header fields`},
	} {
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
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "https://id.example/events/poll", strings.NewReader(body)))
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
