package main

import (
	"cmp"
	"context"
	"errors"
	"os"
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
	disk     = "disk"    // SQLite on volumes that can be full
	full     = "full"    // PostgreSQL on a volume that can be full
	cluster  = "cluster" // SQLite and a Redis Cluster

	people    = 6
	startTime = time.Minute
)

// system is both services over one kind of store, behind proxies that can break their connections, with people to play. Over
// PostgreSQL there are two replicas of each.
type system struct {
	store string
	cfg   launch.Config
	group *launch.Group
	idp   *service
	cases *service

	pg    *servers.Pair
	doors []*faultproxy.Proxy // between the services and each server of PostgreSQL
	redis redisSet

	idpVolume, caseVolume *volume

	post *post
	end  context.CancelFunc // of the load balancers
	look time.Duration      // between two looks at what processes hold

	clients seed.Clients
	people  []*person
}

// redisSet is several servers of Redis that make another one the primary where one is lost.
type redisSet interface {
	Whole(ctx context.Context) error
	Primary(ctx context.Context) (*servers.Redis, error)
	After(ctx context.Context, old *servers.Redis) error
	Stop() error
}

// openSystem starts everything in dir, which the caller removes after close.
func openSystem(ctx context.Context, b launch.Binaries, store, dir string) (_ *system, err error) {
	s := &system{store: store, look: betweenLooks, group: launch.NewGroup(dir), cfg: launch.Config{Binaries: b, Dir: dir, Flags: map[string][]string{}}}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	s.end = end
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.cfg.Prepare(); err != nil {
		return nil, err
	}
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	if err := s.openServices(running); err != nil {
		return nil, err
	}
	if s.clients, err = seed.RegisterApp(ctx, s.cfg); err != nil {
		return nil, err
	}
	for _, service := range []*service{s.idp, s.cases} {
		if err := service.startAll(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.invite(ctx); err != nil {
		return nil, err
	}
	return s, s.fileCases(ctx)
}

// openStore opens what the store stands on.
func (s *system) openStore(ctx context.Context) error {
	switch s.store {
	case postgres:
		return s.openServers(ctx)
	case disk:
		return s.openVolumes()
	case full:
		return s.openFull(ctx)
	case cluster:
		c, err := servers.StartCluster(ctx)
		if err != nil {
			return err
		}
		s.redis, s.cfg.Redis = c, c.URL()
	}
	return nil
}

// openVolumes gives each service a volume of its own for its data. Logs and keys lie elsewhere.
func (s *system) openVolumes() (err error) {
	if s.idpVolume, err = mountVolume(filepath.Join(s.cfg.Dir, "idp")); err != nil {
		return err
	}
	if s.caseVolume, err = mountVolume(filepath.Join(s.cfg.Dir, "cases")); err != nil {
		return err
	}
	s.cfg.Databases = launch.Databases{IDP: "sqlite:" + filepath.Join(s.cfg.Dir, "idp", "idp.db"), Cases: "sqlite:" + filepath.Join(s.cfg.Dir, "cases", "cases.db")}
	return nil
}

// openFull starts PostgreSQL on a volume, which everybody may look for: the server is somebody else where we are root.
func (s *system) openFull(ctx context.Context) (err error) {
	home, err := os.MkdirTemp("", "ellis-full-")
	if err != nil {
		return err
	}
	if s.idpVolume, err = mountVolume(home); err != nil {
		return err
	}
	if s.pg, err = servers.StartPairIn(ctx, home); err != nil {
		return err
	}
	s.cfg.Databases = launch.Databases{IDP: s.pg.DSN(launch.IDP), Cases: s.pg.DSN(launch.CaseService)}
	return s.pg.Primary().Create(ctx, launch.IDP, launch.CaseService)
}

// openServers starts PostgreSQL and Redis.
func (s *system) openServers(ctx context.Context) (err error) {
	if s.pg, err = servers.StartPair(ctx); err != nil {
		return err
	}
	if err := s.pg.Primary().Create(ctx, launch.IDP, launch.CaseService); err != nil {
		return err
	}
	first, second := s.pg.Ports()
	for _, port := range []int{first, second} {
		p, err := faultproxy.Listen("127.0.0.1:0", launch.Loopback(port))
		if err != nil {
			return err
		}
		s.doors = append(s.doors, p)
	}
	set, err := servers.StartSentinel(ctx)
	if err != nil {
		return err
	}
	s.redis, s.cfg.Redis = set, set.URL()
	// Commands go past the proxies, the services go through them.
	s.cfg.Databases = launch.Databases{IDP: s.pg.DSN(launch.IDP), Cases: s.pg.DSN(launch.CaseService)}
	for _, name := range []string{launch.IDP, launch.CaseService} {
		s.cfg.Flags[name] = []string{"--database", servers.PairDSN(name, s.doors[0].Addr(), s.doors[1].Addr())}
	}
	return nil
}

// openServices finds a port for everything, and prepares what is to be started there. What is not a process ends with ctx.
func (s *system) openServices(ctx context.Context) (err error) {
	replicas := 1
	if s.store == postgres {
		replicas = 2
	}
	var ports launch.Ports
	at, err := ports.Choose(&s.cfg, replicas)
	ports.Release()
	if err != nil {
		return err
	}
	s.flags(launch.IDP, launch.Unlimited("--signup-mails-network", "0", "--signup-mails", "0")...)
	s.flags(launch.Portal, "--signin-rate", "0")
	drain := "0s" // nobody looks at /readyz
	if replicas > 1 {
		drain = "1500ms" // the balancer looks every 150 ms, where the machine lets it
	}
	s.flags(launch.IDP, "--drain-delay", drain)
	s.flags(launch.CaseService, "--drain-delay", drain)
	var idp, cases []launch.Spec
	for i, p := range at {
		c := s.cfg.Replica(i+1, p)
		idp, cases = append(idp, c.IDPSpec()), append(cases, c.CaseAPISpec())
	}
	if s.idp, err = newService(ctx, s.group, s.cfg.Ports.IDP, idp); err != nil {
		return err
	}
	if s.cases, err = newService(ctx, s.group, s.cfg.Ports.CaseAPI, cases); err != nil {
		return err
	}
	s.post, err = openPost(s.cfg.SMTP)
	return err
}

func (s *system) flags(name string, more ...string) {
	s.cfg.Flags[name] = append(s.cfg.Flags[name], more...)
}

// database is the name under which the oracle opens the database: past every proxy.
func (s *system) database() string {
	return cmp.Or(s.cfg.Databases.IDP, "sqlite:"+s.file())
}

func (s *system) file() string { return filepath.Join(s.cfg.Dir, "idp.db") }

func (s *system) issuer() string { return s.cfg.Issuer() }

// close ends everything.
func (s *system) close() (err error) {
	s.group.Stop()
	s.end()
	err = errors.Join(s.idp.close(), s.cases.close())
	for _, p := range s.doors {
		err = errors.Join(err, p.Close())
	}
	if s.pg != nil {
		err = errors.Join(err, s.pg.Stop())
	}
	if s.redis != nil {
		err = errors.Join(err, s.redis.Stop())
	}
	for _, v := range []*volume{s.idpVolume, s.caseVolume} {
		if v != nil {
			err = errors.Join(err, v.close())
		}
	}
	if s.post != nil {
		err = errors.Join(err, s.post.close())
	}
	return err
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
	p.subject, p.cookies = id.Sub, pairs(cookies)
	return nil
}
