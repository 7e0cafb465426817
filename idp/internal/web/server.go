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
	"sync"
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
	Load    *Load // bounds the public connections; nil: nothing does
	// Notice is how long everything is answered on at the end, while /readyz says 503, so that whoever balances the load sees
	// it and sends nothing more before the listener closes.
	Notice time.Duration
	Drain  time.Duration // how long requests that are under way may take after that
}

// State is what /readyz tells.
type State struct {
	ready, draining atomic.Bool
	closing         lazyChan
}

// Closing is closed when the listener is about to: who holds a request open to wait for something answers it now.
func (s *State) Closing() <-chan struct{} { return s.closing.get() }

// lazyChan is a channel that the first look makes; its zero value is ready.
type lazyChan struct {
	make, end sync.Once
	c         chan struct{}
}

func (l *lazyChan) get() chan struct{} {
	l.make.Do(func() { l.c = make(chan struct{}) })
	return l.c
}

func (l *lazyChan) close() { l.end.Do(func() { close(l.get()) }) }

// Serving reports whether requests should be sent here.
func (s *State) Serving() bool { return s.ready.Load() && !s.draining.Load() }

// Run serves both listeners until ctx ends, then gives notice and lets requests finish. It closes the listeners.
func (s Servers) Run(ctx context.Context, public, private net.Listener) error {
	pub, priv := s.server(s.lastAnswers(s.Public)), s.server(s.Private)
	if s.Load != nil {
		public = s.Load.Guard(pub, public)
	}
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
	s.Log.Info("draining", "notice", s.Notice, "patience", s.Drain)
	if err == nil {
		time.Sleep(s.Notice)
	}
	s.State.closing.close()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Drain)
	defer cancel()
	if down := pub.Shutdown(end); down != nil {
		err = errors.Join(err, fmt.Errorf("some requests did not finish in %v: %w", s.Drain, down), pub.Close())
	}
	return errors.Join(err, priv.Close())
}

// lastAnswers closes each connection with its answer once the end has come. Idle ones stay until the listener closes: a
// request may be on its way on them.
func (s Servers) lastAnswers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.State.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
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
	type labels struct {
		route, method string
		status        int
	}
	var known sync.Map // labels → prometheus.Observer: finding it by the labels' texts costs more than counting
	return func(route, method string, status int, took time.Duration) {
		l := labels{route, method, status}
		o, ok := known.Load(l)
		if !ok {
			o, _ = known.LoadOrStore(l, seconds.WithLabelValues(route, method, strconv.Itoa(status)))
		}
		o.(prometheus.Observer).Observe(took.Seconds())
	}
}
