package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
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
	Drain   time.Duration // how long requests that are under way may take at the end
}

// State is what /readyz tells.
type State struct{ ready, draining atomic.Bool }

// Ready says that start-up is over.
func (s *State) Ready() { s.ready.Store(true) }

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
	s.State.Ready()
	s.Log.Info("serving", "listen", public.Addr().String(), "private", private.Addr().String())
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.State.draining.Store(true)
	s.Log.Info("draining", "patience", s.Drain)
	end, cancel := context.WithTimeout(context.Background(), s.Drain)
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
