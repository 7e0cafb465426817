package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
	"ellis.example/deploy/internal/servers"
)

const (
	startTime  = time.Minute            // how long the services may take to serve
	pollStart  = 500 * time.Microsecond // between two questions whether a service answers
	settleTime = time.Second            // from serving to at rest
	startUps   = 3
)

// stack is the services over one kind of store, running.
type stack struct {
	bench *bench
	store string // sqlite | postgres
	cfg   launch.Config
	group *launch.Group
	idp   *launch.Process
	cases *launch.Process   // nil: not started
	pg    *servers.Postgres // nil: SQLite
	redis *servers.Redis    // nil: process memory

	clients seed.Clients
	people  []person // made when the first operation needs them

	startup time.Duration
	idle    int64 // bytes resident
}

// openStack starts everything over a store: databases, then the services. withCases asks for the case API too.
func (b *bench) openStack(ctx context.Context, store string, withCases bool) (_ *stack, err error) {
	dir, err := os.MkdirTemp(b.dir, store+"-")
	if err != nil {
		return nil, err
	}
	s := &stack{bench: b, store: store, group: launch.NewGroup(dir), cfg: launch.Config{Binaries: b.binaries, Dir: dir, Flags: map[string][]string{}}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.cfg.Prepare(); err != nil {
		return nil, err
	}
	var ports launch.Ports
	_, err = ports.Choose(&s.cfg, 0)
	ports.Release()
	if err != nil {
		return nil, err
	}
	if store == "postgres" {
		if err := s.startServers(ctx); err != nil {
			return nil, err
		}
	}
	s.cfg.Flags[launch.IDP] = launch.Unlimited("--drain-delay", "0s")
	s.cfg.Flags[launch.CaseService] = []string{"--drain-delay", "0s"}
	if s.clients, err = seed.RegisterApp(ctx, s.cfg); err != nil {
		return nil, err
	}
	if b.rows > 0 {
		if err := s.grow(ctx, b.rows); err != nil {
			return nil, err
		}
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	if withCases {
		if err := s.startCases(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// close ends everything. What it cannot end, launch does with this process.
func (s *stack) close() {
	s.group.Stop()
	if s.redis != nil {
		if err := s.redis.Stop(); err != nil {
			s.bench.say("Redis: %v", err)
		}
	}
	if s.pg != nil {
		if err := s.pg.Stop(); err != nil {
			s.bench.say("PostgreSQL: %v", err)
		}
	}
}

// start starts the provider a few times over the same database, because a start is one event, and keeps the last.
func (s *stack) start(ctx context.Context) error {
	var times []time.Duration
	for i := range startUps {
		took, err := s.startIDP(ctx)
		if err != nil {
			return err
		}
		times = append(times, took)
		if i < startUps-1 {
			s.group.Stop()
		}
	}
	s.startup = median(times, func(d *time.Duration) time.Duration { return *d })
	time.Sleep(settleTime)
	s.idle = launch.Resident(s.idp.Pid, false)
	return nil
}

// startIDP returns how long it took from the start of the process to its first discovery document.
func (s *stack) startIDP(ctx context.Context) (time.Duration, error) {
	began := time.Now() //nolint:forbidigo // it measures, and decides nothing
	p, err := s.group.Start(s.bench.cores.own(s.cfg.IDPSpec()))
	if err != nil {
		return 0, err
	}
	s.idp = p
	c := s.dialIDP()
	defer c.close()
	discovery := c.request("GET", "/.well-known/openid-configuration", nil)
	for time.Since(began) < startTime && ctx.Err() == nil {
		if _, err = c.expect(200, discovery); err == nil {
			return time.Since(began), nil
		}
		time.Sleep(pollStart)
	}
	return 0, errors.Join(fmt.Errorf("the provider does not answer: %w; the last lines of its log:\n%s", err, launch.Tail(p.Log)), ctx.Err())
}

// startCases starts the case API, where it knows the store.
func (s *stack) startCases(ctx context.Context) error {
	p, err := s.group.Start(s.bench.cores.own(s.cfg.CaseAPISpec()))
	if err != nil {
		return err
	}
	s.cases = p
	ctx, done := context.WithTimeout(ctx, startTime)
	defer done()
	return p.Ready(ctx)
}

func (s *stack) dialIDP() *conn {
	return newConn(s.cfg.Ports.IDP, fmt.Sprintf("localhost:%d", s.cfg.Ports.IDP))
}

func (s *stack) dialCases() *conn {
	return newConn(s.cfg.Ports.CaseAPI, fmt.Sprintf("localhost:%d", s.cfg.Ports.CaseAPI))
}

// usage is processor time that was used up to now.
type usage struct{ server, database, cache time.Duration }

func (u usage) since(v usage) usage {
	return usage{u.server - v.server, u.database - v.database, u.cache - v.cache}
}

// measure returns the processor time of what an operation of a service uses.
func (s *stack) measure(service string) func() usage {
	return func() (u usage) {
		p := s.idp
		if service == launch.CaseService {
			p = s.cases
		}
		u.server = launch.CPU(p.Pid, false)
		if s.pg != nil {
			u.database = launch.CPU(s.pg.Pid(), true)
		}
		if s.redis != nil {
			u.cache = launch.CPU(s.redis.Pid(), false)
		}
		return u
	}
}

// How quiet a server has to be before it is measured, and how long it may take to become so.
const (
	settleLook  = 200 * time.Millisecond
	settleQuiet = settleLook / 10
	settleMost  = 10 * time.Second
)

// settle waits until a server has done what it does behind what was asked before, such as indexing its audit: that is not part
// of what comes.
func (s *stack) settle(ctx context.Context, service string) {
	ctx, done := context.WithTimeout(ctx, settleMost)
	defer done()
	measure := s.measure(service)
	for ctx.Err() == nil {
		before := measure()
		time.Sleep(settleLook)
		if measure().since(before).server <= settleQuiet {
			return
		}
	}
}

// startServers starts PostgreSQL, and Redis where the provider can use one.
func (s *stack) startServers(ctx context.Context) (err error) {
	settings := []string{"shared_buffers=256MB"}
	if d := s.bench.fsyncDelay; d > 0 {
		settings = append(settings, "commit_siblings=0", fmt.Sprintf("commit_delay=%d", d.Microseconds()))
	}
	if s.pg, err = servers.StartPostgres(ctx, settings...); err != nil {
		return err
	}
	if err := s.pg.Create(ctx, launch.IDP, launch.CaseService); err != nil {
		return err
	}
	s.cfg.Databases = launch.Databases{IDP: s.pg.DSN(launch.IDP), Cases: s.pg.DSN(launch.CaseService)}
	if !s.bench.redis {
		return nil
	}
	if s.redis, err = servers.StartRedis(ctx); err != nil {
		return err
	}
	s.cfg.Redis = s.redis.URL()
	return nil
}

// mentions reports whether the help of a binary's serve command has a word: a release that lacks a store is measured without.
func mentions(ctx context.Context, binary, word string) bool {
	out, err := exec.CommandContext(ctx, binary, "serve", "--help").CombinedOutput()
	return err == nil && bytes.Contains(out, []byte(word))
}
