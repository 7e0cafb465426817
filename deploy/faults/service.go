package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"ellis.example/deploy/internal/balance"
	"ellis.example/deploy/internal/faultproxy"
	"ellis.example/deploy/internal/launch"
)

// service is the processes of one of the services: one, or replicas behind a load balancer. Before either stands a proxy that
// can break connections.
type service struct {
	group *launch.Group
	front *faultproxy.Proxy
	pool  *balance.Pool // nil: there is one process, and nothing between
	specs []launch.Spec
	procs []*launch.Process
}

// newService prepares a service that is reached at port. Nothing of it runs yet; what stands before it ends with ctx.
func newService(ctx context.Context, g *launch.Group, port int, specs []launch.Spec) (s *service, err error) {
	s = &service{group: g, specs: specs, procs: make([]*launch.Process, len(specs))}
	target := specs[0].At
	if len(specs) > 1 {
		s.pool = balance.Replicas(ctx, specs)
		// A driver that nobody answers tells of another end than that of ctx.
		if target, err = balance.Serve(ctx, "127.0.0.1:0", cutShort(s.pool.Handler()), func(error) {}); err != nil {
			return nil, err
		}
	}
	s.front, err = faultproxy.Listen(launch.Loopback(port), target)
	return s, err
}

// cutShort makes no answer of the answer by which the balancer says that it got none: nobody knows what became of the request,
// and a service that answered 502 would be wrong.
func cutShort(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(cutter{w}, r) })
}

type cutter struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (c cutter) WriteHeader(status int) {
	if status == http.StatusBadGateway && strings.HasPrefix(c.Header().Get("Content-Type"), "text/plain") {
		panic(http.ErrAbortHandler)
	}
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find what is below.
func (c cutter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// start starts process i and waits until it serves, and gets requests.
func (s *service) start(ctx context.Context, i int) (err error) {
	ctx, done := context.WithTimeout(ctx, startTime)
	defer done()
	if s.procs[i], err = s.group.Start(s.specs[i]); err != nil {
		return err
	}
	if err := s.procs[i].Ready(ctx); err != nil || s.pool == nil {
		return err
	}
	for s.pool.Up() < len(s.specs) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// startAll starts all of them at once.
func (s *service) startAll(ctx context.Context) error {
	errs := make([]error, len(s.specs))
	var all sync.WaitGroup
	for i := range s.specs {
		all.Go(func() { errs[i] = s.start(ctx, i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// killAll ends all of them as a crash would.
func (s *service) killAll() {
	for _, p := range s.procs {
		p.Kill()
	}
}

// restart ends process i in order, and starts it again.
func (s *service) restart(ctx context.Context, i int) error {
	if err := s.procs[i].End(); err != nil {
		return err
	}
	return s.start(ctx, i)
}

// close ends what stands before the processes.
func (s *service) close() error {
	if s == nil || s.front == nil {
		return nil
	}
	return s.front.Close()
}
