package web_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ellis.example/idp/internal/web"
)

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func fetch(t *testing.T, url string) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// A request that is under way when the process is told to end gets its answer; what comes later gets none.
func TestServers_DrainWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := web.Servers{
		Log: slog.New(slog.DiscardHandler), State: &web.State{}, Drain: 10 * time.Second,
		Public: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-release
			_, _ = io.WriteString(w, "answered")
		}),
		Private: http.NotFoundHandler(),
	}
	ctx, cancel := context.WithCancel(t.Context())
	public, private := listener(t), listener(t)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, public, private) }()
	got := make(chan string, 1)
	go func() {
		_, body, err := fetch(t, "http://"+public.Addr().String())
		if err != nil {
			body = err.Error()
		}
		got <- body
	}()
	<-entered
	if !s.State.Serving() {
		t.Error("not ready while it serves")
	}
	cancel()
	for s.State.Serving() {
		time.Sleep(time.Millisecond)
	}
	close(release)
	if body := <-got; body != "answered" {
		t.Errorf("the request under way got %q", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, _, err := fetch(t, "http://"+public.Addr().String()); err == nil {
		t.Error("it serves on")
	}
}

func TestServers_EndWhenAListenerFails(t *testing.T) {
	t.Parallel()
	s := web.Servers{Log: slog.New(slog.DiscardHandler), State: &web.State{}, Drain: time.Second, Public: http.NotFoundHandler(), Private: http.NotFoundHandler()}
	public, private := listener(t), listener(t)
	_ = private.Close()
	if err := s.Run(t.Context(), public, private); err == nil || !strings.Contains(err.Error(), "listener") {
		t.Error(err)
	}
}

// What does not work is told, and does not take the provider out of rotation.
func TestPrivate_TellsHealthReadinessAndMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	web.Observer(reg)("/page/{id}", "GET", 200, time.Millisecond)
	state := &web.State{}
	h := web.Private(state, reg, func(context.Context) []string { return []string{"database"} })
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	if code, body := get("/healthz"); code != http.StatusOK || body != `{"status":"ok"}` {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get("/readyz"); code != http.StatusServiceUnavailable || body != `{"status":"not serving"}` {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get("/metrics"); code != http.StatusOK || !strings.Contains(body, `idp_http_request_duration_seconds_count{method="GET",route="/page/{id}",status="200"} 1`) {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := get("/anything"); code != http.StatusNotFound {
		t.Errorf("%d", code)
	}
	s := web.Servers{Log: slog.New(slog.DiscardHandler), State: state, Drain: time.Second, Public: http.NotFoundHandler(), Private: h}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	public, private := listener(t), listener(t)
	go func() { ended <- s.Run(ctx, public, private) }()
	for !state.Serving() {
		time.Sleep(time.Millisecond)
	}
	if code, body, err := fetch(t, "http://"+private.Addr().String()+"/readyz"); err != nil || code != http.StatusOK || strings.TrimSpace(body) != `{"status":"ready","degraded":["database"]}` {
		t.Errorf("%d %s %v", code, body, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A balancer that has just looked still sends: for as long as notice is given everything is answered, each time with a hint to
// come on another connection, and a request that waits for something is told of the end before the listener closes.
func TestServers_GiveNoticeBeforeTheListenerCloses(t *testing.T) {
	t.Parallel()
	const notice = 2 * time.Second // longer than any answer takes on a busy machine
	state, waits := &web.State{}, make(chan struct{})
	s := web.Servers{
		Log: slog.New(slog.DiscardHandler), State: state, Notice: notice, Drain: 10 * time.Second, Private: http.NotFoundHandler(),
		Public: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/poll" {
				close(waits)
				<-state.Closing()
			}
			_, _ = io.WriteString(w, "answered")
		}),
	}
	ctx, cancel := context.WithCancel(t.Context())
	public, private := listener(t), listener(t)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, public, private) }()
	polled := make(chan string, 1)
	get := func(path string) (string, bool) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+public.Addr().String()+path, http.NoBody)
		if err != nil {
			return err.Error(), false
		}
		res, err := (&http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}).Do(r)
		if err != nil {
			return err.Error(), false
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return string(b), res.Close
	}
	go func() { body, _ := get("/poll"); polled <- body }()
	<-waits
	if body, last := get("/"); body != "answered" || last {
		t.Errorf("while it serves: %q, last on its connection: %v", body, last)
	}
	told := time.Now()
	cancel()
	for state.Serving() {
		time.Sleep(time.Millisecond)
	}
	if body, last := get("/"); body != "answered" || !last {
		t.Errorf("in the time of notice: %q, last on its connection: %v", body, last)
	}
	select {
	case <-state.Closing():
		if time.Since(told) < notice {
			t.Error("there was no time of notice")
		}
	default:
	}
	if body := <-polled; body != "answered" {
		t.Errorf("who waited got %q", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if body, _ := get("/"); body == "answered" {
		t.Error("it serves on")
	}
}
