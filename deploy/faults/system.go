package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"ellis.example/deploy/internal/faultproxy"
	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
	"ellis.example/deploy/internal/servers"
)

const (
	sqlite   = "sqlite"
	postgres = "postgres"

	people    = 6
	startTime = time.Minute
)

// system is the provider over one kind of store, behind a proxy that can break its connections, with people to play.
type system struct {
	store   string
	cfg     launch.Config
	group   *launch.Group
	front   *faultproxy.Proxy // before the provider
	idp     *launch.Process
	cases   *launch.Process
	idpPort int // where the provider itself listens

	pg    *servers.Postgres
	db    *faultproxy.Proxy // between the provider and PostgreSQL
	redis *servers.Redis
	post  *post

	clients seed.Clients
	people  []*person
}

// openSystem starts everything in dir, which the caller removes after close.
func openSystem(ctx context.Context, b launch.Binaries, store, dir string) (_ *system, err error) {
	s := &system{store: store, group: launch.NewGroup(dir), cfg: launch.Config{Binaries: b, Dir: dir, Flags: map[string][]string{}, Env: map[string][]string{}}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.cfg.Prepare(); err != nil {
		return nil, err
	}
	var ports launch.Ports
	defer ports.Release()
	for _, to := range []*int{&s.cfg.Ports.IDP, &s.cfg.Ports.IDPPrivate, &s.cfg.Ports.CaseAPI, &s.cfg.Ports.CaseAPIPrivate, &s.cfg.SMTP, &s.idpPort} {
		if *to, err = ports.Free(); err != nil {
			return nil, err
		}
	}
	ports.Release()
	if s.post, err = openPost(s.cfg.SMTP); err != nil {
		return nil, err
	}
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	// Limits are for strangers; here one machine is everybody.
	s.cfg.Flags[launch.IDP] = append(s.cfg.Flags[launch.IDP], "--listen", launch.Loopback(s.idpPort), "--drain-delay", "0s",
		"--begin-rate", "0", "--form-rate", "0", "--failure-rate", "0", "--signup-mails-network", "0", "--signup-mails", "0")
	if s.front, err = faultproxy.Listen(launch.Loopback(s.cfg.Ports.IDP), launch.Loopback(s.idpPort)); err != nil {
		return nil, err
	}
	if s.clients, err = seed.RegisterApp(ctx, s.cfg); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	if err := s.startCases(ctx); err != nil {
		return nil, err
	}
	if err := s.invite(ctx); err != nil {
		return nil, err
	}
	return s, s.fileCases(ctx)
}

// openStore starts PostgreSQL and Redis, where the store is not a file.
func (s *system) openStore(ctx context.Context) (err error) {
	if s.store == sqlite {
		return nil
	}
	if s.pg, err = servers.StartPostgres(ctx); err != nil {
		return err
	}
	if err := s.pg.Create(ctx, launch.IDP, launch.CaseService); err != nil {
		return err
	}
	s.cfg.Databases = launch.Databases{IDP: s.pg.DSN(launch.IDP), Cases: s.pg.DSN(launch.CaseService)}
	if s.redis, err = servers.StartRedis(ctx); err != nil {
		return err
	}
	if s.db, err = faultproxy.Listen("127.0.0.1:0", launch.Loopback(s.pg.Port)); err != nil {
		return err
	}
	// Commands go past the proxy, the server goes through it.
	through := strings.Replace(s.pg.DSN(launch.IDP), launch.Loopback(s.pg.Port), s.db.Addr(), 1)
	s.cfg.Flags[launch.IDP] = []string{"--database", through, "--redis", s.redis.URL()}
	return nil
}

// database is the name under which the oracle opens the database: past every proxy.
func (s *system) database() string {
	if s.pg != nil {
		return s.pg.DSN(launch.IDP)
	}
	return "sqlite:" + s.file()
}

func (s *system) file() string { return filepath.Join(s.cfg.Dir, "idp.db") }

func (s *system) issuer() string { return s.cfg.Issuer() }

// close ends everything.
func (s *system) close() (err error) {
	s.group.Stop()
	for _, p := range []*faultproxy.Proxy{s.front, s.db} {
		if p != nil {
			err = errors.Join(err, p.Close())
		}
	}
	if s.pg != nil {
		err = errors.Join(err, s.pg.Stop())
	}
	if s.redis != nil {
		err = errors.Join(err, s.redis.Stop())
	}
	if s.post != nil {
		err = errors.Join(err, s.post.close())
	}
	return err
}

// start starts the provider and waits until it serves.
func (s *system) start(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, startTime)
	defer done()
	p, err := s.group.Start(s.cfg.IDPSpec())
	if err != nil {
		return err
	}
	s.idp = p
	return p.Ready(ctx)
}

// startCases starts the case API and waits until it follows the provider.
func (s *system) startCases(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, startTime)
	defer done()
	p, err := s.group.Start(s.cfg.CaseAPISpec())
	if err != nil {
		return err
	}
	s.cases = p
	return p.Ready(ctx)
}

// importLine is a case in the form that `case import` reads.
const importLine = `{"form":"I-765","submitted":"2026-01-05","events":[{"code":"received","at":"2026-01-09T09:00:00Z"}],"claimable":false}` + "\n"

// fileCases gives each person a case.
func (s *system) fileCases(ctx context.Context) error {
	cases, err := seed.ImportCases(ctx, s.cfg, strings.Repeat(importLine, len(s.people)))
	if err != nil {
		return err
	}
	for i, p := range s.people {
		if err := seed.AssignCases(ctx, s.cfg, p.Email, cases[i].Receipt); err != nil {
			return err
		}
		p.caseID = cases[i].ID
	}
	return nil
}

// command runs a command of the provider.
func (s *system) command(ctx context.Context, args ...string) error {
	return seed.Ask(ctx, s.cfg, nil, s.cfg.IDP, args...)
}

// invite makes the people and signs them in, so that they have allowed the app what it asks for.
func (s *system) invite(ctx context.Context) error {
	for i := range people {
		p := &person{Account: seed.Somebody(i)}
		if err := seed.CreateAccount(ctx, s.cfg, p.Account); err != nil {
			return err
		}
		if err := s.signIn(ctx, p); err != nil {
			return err
		}
		s.people = append(s.people, p)
	}
	return nil
}

// signIn signs a person in, and learns under which subject the app knows them.
func (s *system) signIn(ctx context.Context, p *person) error {
	t, cookies, err := s.clients.SignIn(ctx, s.issuer(), p.Account)
	if err != nil {
		return err
	}
	id, err := read(t.ID)
	if err != nil {
		return err
	}
	if p.subject != "" && p.subject != id.Sub {
		return fmt.Errorf("%s was %s and is %s", p.Email, p.subject, id.Sub)
	}
	var pairs []string
	for _, c := range cookies {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	p.subject, p.cookies = id.Sub, strings.Join(pairs, "; ")
	return nil
}
