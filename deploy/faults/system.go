package main

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/faultproxy"
	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/servers"
)

const (
	sqlite   = "sqlite"
	postgres = "postgres"

	people    = 6
	startTime = time.Minute
)

//go:embed registry.yaml.tmpl
var registryTemplate string

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

	secrets map[string]string
	people  []*person
	env     []string // of the provider
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
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	// Limits are for strangers; here one machine is everybody.
	s.cfg.Flags[launch.IDP] = append(s.cfg.Flags[launch.IDP], "--listen", launch.Loopback(s.idpPort), "--drain-delay", "0s",
		"--begin-rate", "0", "--form-rate", "0", "--failure-rate", "0")
	if s.front, err = faultproxy.Listen(launch.Loopback(s.cfg.Ports.IDP), launch.Loopback(s.idpPort)); err != nil {
		return nil, err
	}
	if err := s.register(ctx); err != nil {
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
	s.cfg.Databases.Cases = s.pg.DSN(launch.CaseService)
	if s.redis, err = servers.StartRedis(ctx); err != nil {
		return err
	}
	if s.db, err = faultproxy.Listen("127.0.0.1:0", launch.Loopback(s.pg.Port)); err != nil {
		return err
	}
	through := strings.Replace(s.pg.DSN(launch.IDP), launch.Loopback(s.pg.Port), s.db.Addr(), 1)
	s.cfg.Flags[launch.IDP] = []string{"--database", through, "--redis", s.redis.URL()}
	return nil
}

// database is the name under which commands and the oracle open the database: past every proxy.
func (s *system) database() string {
	if s.pg != nil {
		return s.pg.DSN(launch.IDP)
	}
	return "sqlite:" + s.file()
}

func (s *system) file() string { return filepath.Join(s.cfg.Dir, "idp.db") }

func (s *system) issuer() string { return s.cfg.Issuer() }

func (s *system) basic(client string) string { return basic(client, s.secrets[client]) }

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
	return err
}

// start starts the provider and waits until it serves.
func (s *system) start(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, startTime)
	defer done()
	spec := s.cfg.IDPSpec()
	spec.Env = append(spec.Env, s.env...)
	p, err := s.group.Start(spec)
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
	path := filepath.Join(s.cfg.Dir, "cases.jsonl")
	if err := os.WriteFile(path, []byte(strings.Repeat(importLine, len(s.people))), 0o600); err != nil {
		return err
	}
	out, err := s.cfg.Command(ctx, s.cfg.CaseService, "case", "import", path, "--json")
	if err != nil {
		return err
	}
	var done struct {
		Cases []struct {
			ID      string `json:"id"`
			Receipt string `json:"receipt"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(out, &done); err != nil || len(done.Cases) != len(s.people) {
		return fmt.Errorf("case import: %w: %s", err, out)
	}
	for i, p := range s.people {
		var shown struct {
			Subject string `json:"subject"`
		}
		if err := s.command(ctx, &shown, "user", "show", p.email, "--api", "cases", "--json"); err != nil {
			return err
		}
		out, err := s.cfg.Command(ctx, s.cfg.CaseService, "case", "assign", done.Cases[i].Receipt, "--sub", shown.Subject, "--json")
		if err != nil {
			return err
		}
		var assigned struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(out, &assigned); err != nil || assigned.ID == "" {
			return fmt.Errorf("case assign: %w: %s", err, out)
		}
		p.caseID = assigned.ID
	}
	return nil
}

// command runs a command of the provider; into may be nil.
func (s *system) command(ctx context.Context, into any, args ...string) error {
	out, err := s.cfg.Command(ctx, s.cfg.IDP, append(args, "--database", s.database())...)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}

// register makes the schema, the API and the clients.
func (s *system) register(ctx context.Context) error {
	if err := s.command(ctx, nil, "migrate", "up"); err != nil {
		return err
	}
	tpl, err := template.New("registry").Parse(registryTemplate)
	if err != nil {
		return err
	}
	var doc bytes.Buffer
	if err := tpl.Execute(&doc, map[string]string{"CaseAPI": s.cfg.CaseAPI(), "Redirect": redirect}); err != nil {
		return err
	}
	path := filepath.Join(s.cfg.Dir, "registry.yaml")
	if err := os.WriteFile(path, doc.Bytes(), 0o600); err != nil {
		return err
	}
	var done struct {
		Clients []struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		} `json:"clients"`
	}
	if err := s.command(ctx, &done, "apply", "-f", path, "--json"); err != nil {
		return err
	}
	s.secrets = map[string]string{}
	for _, c := range done.Clients {
		s.secrets[c.ID] = c.Secret
	}
	return os.WriteFile(s.cfg.SecretFile(launch.CaseAPIClient), []byte(s.secrets[launch.CaseAPIClient]+"\n"), 0o600)
}

// invite makes the people and signs them in, so that they have allowed the app what it asks for.
func (s *system) invite(ctx context.Context) error {
	for i := range people {
		p := &person{email: fmt.Sprintf("person-%d@example.com", i), password: "quiet-" + strings.ToLower(rand.Text()[:12]) + "-harbor"}
		secret := s.cfg.SecretFile(p.email)
		if err := os.WriteFile(secret, []byte(p.password+"\n"), 0o600); err != nil {
			return err
		}
		if err := s.command(ctx, nil, "user", "create", "--email", p.email, "--given-name", "Test", "--family-name", "Person",
			"--birth-date", "1990-01-02", "--country", "MX", "--locale", "en", "--password-file", secret); err != nil {
			return err
		}
		if err := s.signIn(ctx, p); err != nil {
			return fmt.Errorf("%s signs in: %w", p.email, err)
		}
		s.people = append(s.people, p)
	}
	return nil
}

// signIn takes a person through password and consent, as a browser would, and learns under which subject the app knows them.
func (s *system) signIn(ctx context.Context, p *person) error {
	a := agent.New()
	a.StopAt = func(u *url.URL) bool { return strings.HasPrefix(u.String(), redirect) }
	try := newAttempt()
	if err := a.Get(ctx, s.issuer()+try.query("")); err != nil {
		return err
	}
	if err := a.Submit(ctx, "", map[string]string{"identifier": p.email, "password": p.password}); err != nil {
		return err
	}
	if a.Page.Location == "" {
		if err := a.Submit(ctx, "allow", nil); err != nil {
			return err
		}
	}
	back, err := url.Parse(a.Page.Location)
	if err != nil || back.Query().Get("code") == "" {
		return fmt.Errorf("no code: %s %s", a.Page.Location, a.Page.Text)
	}
	issuer, err := url.Parse(s.issuer())
	if err != nil {
		return err
	}
	var cookies []string
	for _, c := range a.Cookies(issuer) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {redirect}, "code_verifier": {try.verifier}}
	got, err := send(ctx, newClient(), http.MethodPost, s.issuer()+"/token", form, "Authorization", s.basic(app))
	if err != nil {
		return err
	}
	var t tokens
	if err := json.Unmarshal(got.body, &t); err != nil || got.status != http.StatusOK {
		return fmt.Errorf("no tokens: %d %s", got.status, got.body)
	}
	id, err := read(t.ID)
	if err != nil {
		return err
	}
	if p.subject != "" && p.subject != id.Sub {
		return fmt.Errorf("%s was %s and is %s", p.email, p.subject, id.Sub)
	}
	p.subject, p.cookies = id.Sub, strings.Join(cookies, "; ")
	return nil
}
