package web_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/web"
)

// through sends one request through the edge, and returns the answer with the log.
func through(e web.Edge, h http.HandlerFunc, r *http.Request) (*httptest.ResponseRecorder, string) {
	var log strings.Builder
	e.Log = slog.New(slog.NewJSONHandler(&log, nil))
	w := httptest.NewRecorder()
	e.Wrap(h).ServeHTTP(w, r)
	return w, log.String()
}

func TestEdge_PanicIsAProblemWithASupportCode(t *testing.T) {
	t.Parallel()
	w, log := through(web.Edge{}, func(http.ResponseWriter, *http.Request) { panic("boom\nsecond line") }, httptest.NewRequest(http.MethodGet, "/secret?q=1", nil))
	id := w.Header().Get("X-Request-Id")
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), id) || strings.Contains(w.Body.String(), "boom") || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "boom") || !strings.Contains(log, id) || strings.Contains(log, "secret") {
		t.Error(log)
	}
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint // a panic's value
			t.Error("an aborted answer is none of our panics")
		}
	}()
	through(web.Edge{}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, httptest.NewRequest(http.MethodGet, "/", nil))
}

func TestEdge_HSTSOverHttpsOnly(t *testing.T) {
	t.Parallel()
	for _, https := range []bool{true, false} {
		w, _ := through(web.Edge{HSTS: https}, func(http.ResponseWriter, *http.Request) {}, httptest.NewRequest(http.MethodGet, "/", nil))
		if got := w.Header().Get("Strict-Transport-Security"); (got != "") != https || https && !strings.HasPrefix(got, "max-age=63072000") {
			t.Errorf("https %v: %q", https, got)
		}
	}
}

func TestAttack_G08_TheLogIsOneObjectALine(t *testing.T) {
	t.Parallel()
	hostile := "x\r\n{\"level\":\"INFO\"}\x1b[31m\u202e\x00" + strings.Repeat("y", 1<<16)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Method = hostile
	r.Header.Set("User-Agent", hostile)
	_, log := through(web.Edge{}, func(w http.ResponseWriter, r *http.Request) {
		i := web.InfoOf(r)
		i.Client, i.Txn, i.Cause = hostile, hostile, errors.New(hostile)
		w.WriteHeader(http.StatusTeapot)
	}, r)
	if strings.Count(log, "\n") != 1 || strings.ContainsAny(log, "\x1b\x00\r") || !strings.Contains(log, `"method":"other"`) || !strings.Contains(log, `"status":418`) {
		t.Errorf("%.300q", log)
	}
}

func TestInfoOf_IsNeverNil(t *testing.T) {
	t.Parallel()
	web.InfoOf(httptest.NewRequest(http.MethodGet, "/", nil)).Route = "x"
}

func TestProblem_OfAnUnknownErrorSaysNothing(t *testing.T) {
	t.Parallel()
	p := web.ProblemOf(errors.New("password of the database"), "req_1")
	if p.Status != http.StatusInternalServerError || p.Support != "req_1" || p.Detail != "" || strings.Contains(p.Title+p.Type, "password") {
		t.Errorf("%+v", p)
	}
	f := fault.New(fault.TooMany, "slow", "wait").Because(errors.New("secret"))
	if p := web.ProblemOf(f, "req_1"); p.Status != http.StatusTooManyRequests || p.Code != "slow" || p.Support != "" || strings.Contains(p.Detail, "secret") {
		t.Errorf("%+v", p)
	}
	w := httptest.NewRecorder()
	web.WriteProblem(w, web.ProblemOf(f, ""), 1500*time.Millisecond)
	if w.Header().Get("Retry-After") != "2" {
		t.Errorf("%v", w.Header())
	}
}

func TestPrivate_IsReadyOnlyWhileServing(t *testing.T) {
	t.Parallel()
	state := &web.State{}
	h := web.Private(state, prometheus.NewRegistry(), func() []string { return []string{"issuer"} })
	ask := func(path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	if code, _ := ask("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("before it serves: %d", code)
	}
	lc := net.ListenConfig{}
	public, err1 := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	private, err2 := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan bool), make(chan bool)
	s := web.Servers{
		Log: slog.New(slog.DiscardHandler), State: state, Private: h, Drain: 10 * time.Second,
		Public: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { entered <- true; <-leave }),
	}
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, public, private) }()
	answered := make(chan error, 1)
	go func() { answered <- get("http://" + public.Addr().String()) }()
	<-entered
	if code, body := ask("/readyz"); code != http.StatusOK || !strings.Contains(body, `"degraded":["issuer"]`) {
		t.Errorf("serving: %d %s", code, body)
	}
	end()
	for { // the listener says so while the request is still under way
		if code, _ := ask("/readyz"); code == http.StatusServiceUnavailable {
			break
		}
	}
	if err := get("http://" + private.Addr().String() + "/healthz"); err != nil {
		t.Errorf("the private listener went before the last request: %v", err)
	}
	close(leave)
	if err := errors.Join(<-answered, <-done); err != nil {
		t.Error(err)
	}
}

func get(url string) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close())
}
