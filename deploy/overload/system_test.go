package overload

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
)

// system is the three services over SQLite, with one person who is signed in.
type system struct {
	*testing.T
	cfg                launch.Config
	idp, cases, portal *launch.Process
	group              *launch.Group
	clients            seed.Clients
	person             seed.Tokens
}

// newSystem starts everything. more are further flags of the provider.
func newSystem(t *testing.T, more ...string) *system {
	t.Helper()
	built, err := launch.Built()
	if err != nil {
		t.Fatal(err)
	}
	s := &system{T: t, cfg: launch.Config{Binaries: built, Dir: t.TempDir(), Flags: map[string][]string{
		launch.IDP:         launch.Unlimited(append(more, "--drain-delay", "0s", "--log-level", "warn")...),
		launch.CaseService: {"--drain-delay", "0s", "--log-level", "warn"}, launch.Portal: {"--drain-delay", "0s", "--log-level", "warn"},
	}}}
	s.must(s.cfg.Prepare())
	var ports launch.Ports
	_, err = ports.Choose(&s.cfg, 0)
	ports.Release()
	s.must(err)
	s.clients, err = seed.RegisterApp(t.Context(), s.cfg)
	s.must(err)
	s.must(seed.KeepSecret(s.cfg, seed.App, s.clients[seed.App]))
	who := seed.Somebody(1)
	s.must(seed.CreateAccount(t.Context(), s.cfg, who))
	s.group = launch.NewGroup(s.cfg.Dir)
	t.Cleanup(s.group.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	procs, err := s.group.StartAll(ctx, s.cfg.IDPSpec(), s.cfg.CaseAPISpec(), s.cfg.PortalSpec(seed.App))
	s.must(err)
	s.idp, s.cases, s.portal = procs[0], procs[1], procs[2]
	s.person, _, err = s.clients.SignIn(t.Context(), s.cfg.Issuer(), who)
	s.must(err)
	return s
}

func (s *system) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// machine is the token request of the machine.
func (s *system) machine() *http.Request {
	return s.request(http.MethodPost, s.cfg.Issuer()+"/token", seed.ForMachine(), "Authorization", s.clients.Basic(seed.Machine))
}

// request makes a request with a form, or without a body where form is nil.
func (s *system) request(method, to string, form url.Values, fields ...string) *http.Request {
	s.Helper()
	r, err := agent.Request(context.Background(), method, to, form, fields...)
	s.must(err)
	return r
}

// newClient returns a client with connections of its own that follows no redirect.
func newClient(connections int) *http.Client {
	return &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, DisableCompression: true},
		CheckRedirect: agent.NoRedirect,
	}
}

// orderly reports whether an answer is one that may be given to anybody at any time.
func orderly(a agent.Answer) bool {
	return a.Status < 500 || (a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "")
}

// metric is one of a process, 0 where there is none yet.
func (s *system) metric(p *launch.Process, name string) float64 {
	s.Helper()
	n, err := p.Metric(s.Context(), name)
	if !errors.Is(err, launch.ErrNoMetric) {
		s.must(err)
	}
	return n
}

// alive fails the test when a service has ended.
func (s *system) alive() {
	s.Helper()
	for _, p := range []*launch.Process{s.idp, s.cases, s.portal} {
		a, err := agent.Do(http.DefaultClient, s.request(http.MethodGet, p.Private()+"/healthz", nil))
		if err != nil || a.Status != http.StatusOK {
			s.Errorf("%s: %v", p.Name, errors.Join(err, fmt.Errorf("status %d", a.Status)))
		}
	}
}
