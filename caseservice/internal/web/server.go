package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of a public server. Tokens have about a kilobyte, bodies less.
const (
	maxHeaderBytes = 16 << 10
	headerTimeout  = 5 * time.Second
	readTimeout    = 15 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
)

// Servers are the listeners of one process: a public one and a private one.
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

// Ready says that start-up is over.
func (s *State) Ready() { s.ready.Store(true) }

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
	s.State.Ready()
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
	end, cancel := context.WithTimeout(context.Background(), s.Drain)
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
