package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of a server.
const (
	maxHeaderBytes = 32 << 10
	headerTimeout  = 5 * time.Second
	readTimeout    = 15 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
)

// Servers are the two listeners of a process.
type Servers struct {
	Log     *slog.Logger
	Public  http.Handler
	Private http.Handler
	State   *State
	Drain   time.Duration // how long requests that are under way may take at the end
}

// State is what /readyz tells.
type State struct{ ready, draining atomic.Bool }

// Serving reports whether requests should be sent here.
func (s *State) Serving() bool { return s.ready.Load() && !s.draining.Load() }

// Run serves both listeners until ctx ends, then lets requests finish. It closes the listeners.
func (s Servers) Run(ctx context.Context, public, private net.Listener) error {
	pub, priv := s.server(s.Public), s.server(s.Private)
	failed := make(chan error, 2)
	for srv, l := range map[*http.Server]net.Listener{pub: public, priv: private} {
		go func() {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("listener %s: %w", l.Addr(), err)
			}
		}()
	}
	s.State.ready.Store(true)
	s.Log.Info("serving", "listen", public.Addr().String(), "private", private.Addr().String())
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.State.draining.Store(true)
	s.Log.Info("draining", "patience", s.Drain)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Drain)
	defer cancel()
	if down := pub.Shutdown(end); down != nil {
		err = errors.Join(err, fmt.Errorf("some requests did not finish in %v: %w", s.Drain, down), pub.Close())
	}
	return errors.Join(err, priv.Close())
}

func (s Servers) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}

// Private returns the handler of the private listener. degraded names what does not work at the moment: that alone never
// takes the provider out of rotation, so that a database that is down does not take the keys away from every API.
func Private(s *State, metrics prometheus.Gatherer, degraded func(context.Context) []string) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeState(w, http.StatusOK, "ok", nil) })
	m.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if !s.Serving() {
			writeState(w, http.StatusServiceUnavailable, "not serving", nil)
			return
		}
		writeState(w, http.StatusOK, "ready", degraded(r.Context()))
	})
	m.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return m
}

func writeState(w http.ResponseWriter, status int, state string, degraded []string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header()["Cache-Control"] = noStore
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct { // the client may be gone
		Status   string   `json:"status"`
		Degraded []string `json:"degraded,omitempty"`
	}{state, degraded})
}

// Observer returns a Config.Observe that counts requests and their time.
func Observer(reg prometheus.Registerer) func(route, method string, status int, took time.Duration) {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "idp_http_request_duration_seconds", Help: "Time to answer a request, by route, method and status.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"route", "method", "status"})
	reg.MustRegister(seconds)
	return func(route, method string, status int, took time.Duration) {
		seconds.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
	}
}
