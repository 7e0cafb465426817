package balance_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/deploy/internal/balance"
)

// replica is a backend that says its name.
type replica struct {
	name   string
	srv    *httptest.Server
	ready  atomic.Int64 // status of /readyz; below 0: it does not answer
	served atomic.Int64
	remove func()
}

func (r *replica) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch req.URL.Path {
	case "/readyz":
		status := r.ready.Load()
		if status < 0 {
			<-req.Context().Done()
			return
		}
		w.WriteHeader(int(status))
	case "/echo":
		r.served.Add(1)
		body, _ := io.ReadAll(req.Body)
		fmt.Fprintf(w, "%s %s host=%s for=%q body=%s", r.name, req.Method, req.Host, req.Header["X-Forwarded-For"], body)
	case "/die":
		r.served.Add(1)
		_, _ = io.ReadAll(req.Body)
		panic(http.ErrAbortHandler)
	case "/die-once":
		if r.served.Add(1) == 1 && r.name == "a" {
			panic(http.ErrAbortHandler)
		}
	case "/stream":
		in := bufio.NewReader(req.Body)
		_ = http.NewResponseController(w).EnableFullDuplex()
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprint(w, r.name, line)
			w.(http.Flusher).Flush()
		}
	}
}

// world is a pool behind a listener.
type world struct {
	*testing.T
	pool *balance.Pool
	srv  *httptest.Server
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w := &world{T: t, pool: balance.NewPool(ctx)}
	w.srv = httptest.NewServer(w.pool.Handler())
	t.Cleanup(func() { w.srv.Close(); stop() })
	return w
}

// add starts a replica and brings it in.
func (w *world) add(name string) *replica {
	w.Helper()
	r := &replica{name: name}
	r.ready.Store(http.StatusOK)
	r.srv = httptest.NewServer(r)
	w.Cleanup(r.srv.Close)
	before := w.pool.Up()
	r.remove = w.pool.Add(backend(w, r.srv.URL))
	w.until(before + 1)
	return r
}

func backend(w *world, text string) balance.Backend {
	w.Helper()
	u, err := url.Parse(text)
	if err != nil {
		w.Fatal(err)
	}
	return balance.Backend{URL: u, Ready: text + "/readyz"}
}

// until waits until so many are up, and returns how long that took.
func (w *world) until(n int) time.Duration {
	w.Helper()
	began := time.Now()
	for w.pool.Up() != n {
		if time.Since(began) > 10*time.Second {
			w.Fatalf("%d are up, want %d", w.pool.Up(), n)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

func (w *world) do(method, path, body string) (int, string, http.Header) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, w.srv.URL+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "203.0.113.9")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b), res.Header
}

func TestPool_GoesRoundAndTellsWhereRequestsComeFrom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.add("a"), w.add("b")
	host := strings.TrimPrefix(w.srv.URL, "http://")
	for range 10 {
		_, body, _ := w.do(http.MethodPost, "/echo", "x")
		if !strings.HasSuffix(body, fmt.Sprintf(` POST host=%s for=["127.0.0.1"] body=x`, host)) {
			t.Error(body)
		}
	}
	if a.served.Load() != 5 || b.served.Load() != 5 {
		t.Errorf("a %d, b %d", a.served.Load(), b.served.Load())
	}
	b.remove()
	for range 10 {
		w.do(http.MethodGet, "/echo", "")
	}
	if b.served.Load() != 5 {
		t.Error("one that was taken out is asked on")
	}
}

// What drains or hangs is out within a second, and in again when it says so.
func TestPool_FollowsReadiness(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.add("a")
	w.add("b")
	for _, bad := range []int64{http.StatusServiceUnavailable, -1} {
		a.ready.Store(bad)
		if d := w.until(1); d > time.Second {
			t.Errorf("it was out after %s", d)
		}
		before := a.served.Load()
		for range 4 {
			if status, body, _ := w.do(http.MethodGet, "/echo", ""); status != http.StatusOK || !strings.HasPrefix(body, "b ") {
				t.Error(status, body)
			}
		}
		if a.served.Load() != before {
			t.Error("it was asked on")
		}
		a.ready.Store(http.StatusOK)
		w.until(2)
	}
}

// A backend that died since it was last asked costs nobody an answer: nothing reached it.
func TestPool_TriesElsewhereWhatReachedNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.add("a")
	w.add("b")
	gone := a.srv.Listener.Addr().String()
	a.ready.Store(http.StatusOK)
	a.srv.Close()
	for range 10 {
		if status, body, _ := w.do(http.MethodPost, "/echo", "effect"); status != http.StatusOK || !strings.HasSuffix(body, "body=effect") {
			t.Error(status, body)
		}
	}
	w.until(1)
	again(w, a, gone)
	w.until(2)
}

// again starts a replica at the place of one that is gone.
func again(w *world, r *replica, addr string) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		w.Error(err)
		return
	}
	srv := &http.Server{Handler: r, ReadHeaderTimeout: time.Second}
	w.Cleanup(func() { _ = srv.Close() })
	go func() { _ = srv.Serve(l) }()
}

// What may have had its effect is done once, and a safe request gets its answer elsewhere.
func TestPool_RepeatsOnlyWhatIsHarmless(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.add("a"), w.add("b")
	for n, c := range []struct{ method, body string }{{http.MethodPost, "effect"}, {http.MethodPost, ""}, {http.MethodGet, "read once"}} {
		if status, _, _ := w.do(c.method, "/die", c.body); status != http.StatusBadGateway || a.served.Load()+b.served.Load() != int64(n+1) {
			t.Errorf("%d, and it was done %d times", status, a.served.Load()+b.served.Load()-int64(n))
		}
		w.until(2)
	}
	a.served.Store(0)
	for range 4 {
		if status, body, _ := w.do(http.MethodGet, "/die-once", ""); status != http.StatusOK {
			t.Error(status, body)
		}
		w.until(2)
	}
	if a.served.Load() == 0 {
		t.Error("the one that fails was never asked")
	}
}

func TestPool_WaitsForABackendAndSaysWhenThereIsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	began := time.Now()
	status, _, h := w.do(http.MethodGet, "/echo", "")
	if d := time.Since(began); status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || d < time.Second || d > 5*time.Second {
		t.Errorf("%d after %s, %v", status, d, h)
	}
	r := &replica{name: "late"}
	r.ready.Store(http.StatusOK)
	r.srv = httptest.NewServer(r)
	t.Cleanup(r.srv.Close)
	time.AfterFunc(200*time.Millisecond, func() { w.pool.Add(backend(w, r.srv.URL)) })
	if status, body, _ := w.do(http.MethodPost, "/echo", "x"); status != http.StatusOK || !strings.HasPrefix(body, "late ") {
		t.Error(status, body)
	}
	r.srv.Close() // the pool does not know yet
	started := make(chan struct{})
	time.AfterFunc(300*time.Millisecond, func() { again(w, r, r.srv.Listener.Addr().String()); close(started) })
	if status, body, _ := w.do(http.MethodPost, "/echo", "x"); status != http.StatusOK || !strings.HasPrefix(body, "late ") {
		t.Errorf("over a restart: %d %s", status, body)
	}
	<-started
}

// Each line comes back before the next one is sent.
func TestPool_StreamsBothWays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a")
	in, out := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.srv.URL+"/stream", in)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(out, "one\n") }()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for _, next := range []string{"two\n", "three\n", ""} {
		if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, "a") {
			t.Fatal(line, err)
		}
		if next == "" {
			break
		}
		if _, err := io.WriteString(out, next); err != nil {
			t.Fatal(err)
		}
	}
	_ = out.Close()
}

// Whoever sends half a body, or one that is no body, must not take a backend from everybody else.
func TestPool_BlamesNoBackendForABadBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("a")
	w.add("b")
	for body, answer := range map[string]string{
		"Transfer-Encoding: chunked\r\n\r\nno length\r\n": "HTTP/1.1 400 ",
		"Transfer-Encoding: chunked\r\n\r\n5\r\nab":       "", // whoever left hears nothing
		"Content-Length: 9\r\n\r\nab":                     "",
	} {
		for range 3 {
			c, err := net.Dial("tcp", w.srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(c, "POST /echo HTTP/1.1\r\nHost: localhost\r\n"+body)
			_ = c.(*net.TCPConn).CloseWrite()
			line, _ := bufio.NewReader(c).ReadString('\n')
			_ = c.Close()
			if !strings.HasPrefix(line, answer) {
				t.Errorf("%q: %q", body, line)
			}
			if n := w.pool.Up(); n != 2 {
				t.Errorf("%q: %d of 2 are up", body, n)
				w.until(2)
			}
		}
	}
}

func TestServe_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	at, err := balance.Serve(ctx, "127.0.0.1:0", hello, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get("http://" + at)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if at, err := balance.Serve(ctx, at, hello, nil); err == nil {
		t.Errorf("two serve %s", at)
	}
	stop()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		nc, err := net.Dial("tcp", at)
		if err != nil {
			return
		}
		_ = nc.Close()
		if time.Now().After(end) {
			t.Fatal("it serves on")
		}
	}
}
