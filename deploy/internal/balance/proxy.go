package balance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"
)

// wait is how long a request waits for a backend where none is up, or none of those that are could be reached.
const wait = 2 * time.Second

var (
	errNobody = errors.New("no backend is up")
	errBody   = errors.New("the body of the request cannot be read")
)

// Serve serves an address until ctx ends, and returns where it listens. failed is told should it end before.
func Serve(ctx context.Context, address string, h http.Handler, failed func(error)) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("the load balancer ended: %w", err))
		}
	}()
	return l.Addr().String(), nil
}

// Handler sends each request to one of the pool. It tells backends where requests come from (X-Forwarded-For, -Host and
// -Proto; what the client said of that is dropped) and keeps the Host that they were sent to. Who cannot be served is answered
// 503 with Retry-After when no backend is up, 400 when the body did not come as announced, else 502.
func (p *Pool) Handler() http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetXForwarded()
			r.Out.Host = r.In.Host
			r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host // the round trip says which backend
		},
		Transport: roundTripper{p}, ErrorLog: log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			switch {
			case errors.Is(err, errNobody):
				w.Header().Set("Retry-After", "1")
				http.Error(w, "nothing that could answer is up; try again", http.StatusServiceUnavailable)
			case errors.Is(err, errBody):
				http.Error(w, errBody.Error(), http.StatusBadRequest)
			default:
				http.Error(w, "what should have answered did not; try again", http.StatusBadGateway)
			}
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // one that cannot streams one way after the other
		proxy.ServeHTTP(w, r)
	})
}

// roundTripper chooses a backend for a request, and another one where that is harmless.
type roundTripper struct{ pool *Pool }

// RoundTrip implements http.RoundTripper.
func (t roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	tried := map[*member]bool{}
	body := &watched{ReadCloser: req.Body}
	late, cancel := context.WithTimeout(req.Context(), wait)
	defer cancel()
	last := errNobody
	for {
		m, changed := t.pool.next(tried)
		if m == nil { // a backend that was restarted is another one
			select {
			case <-changed:
				clear(tried)
				continue
			case <-late.Done():
				return nil, last
			}
		}
		tried[m] = true
		out := req.Clone(req.Context())
		out.URL.Scheme, out.URL.Host = m.URL.Scheme, m.URL.Host
		if req.Body != nil && req.Body != http.NoBody {
			out.Body = body
		}
		res, err := m.transport.RoundTrip(out)
		if err == nil || req.Context().Err() != nil {
			return res, err
		}
		if body.broken.Load() { // by who sent it: no backend is to blame
			return nil, errBody
		}
		t.pool.down(m)
		if last = err; !harmless(req.Method, err) || body.read.Load() {
			return nil, err
		}
	}
}

// harmless reports whether a request that failed may be sent again: it reached nobody, or it asks for nothing to be done.
func harmless(method string, err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// watched is a body that tells whether any of it was read and whether that failed, and that stays open between tries.
type watched struct {
	io.ReadCloser
	read, broken atomic.Bool
}

// Read implements io.Reader.
func (w *watched) Read(b []byte) (int, error) {
	w.read.Store(true)
	n, err := w.ReadCloser.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		w.broken.Store(true)
	}
	return n, err
}

// Close implements io.Closer. The server closes the body of a request.
func (w *watched) Close() error { return nil }
