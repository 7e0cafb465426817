package traces

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
)

const (
	portalClient = "portal"
	registry     = `
apis:
  - id: cases
    audience: {{.CaseAPI}}
    client_id: case-api
    name: {en: Case status, es: Estado de casos}
    scopes:
      - {name: "cases:read", en: See your cases, es: Ver sus casos}
      - {name: "cases:claim", en: Add a case, es: Agregar un caso}
      - {name: "cases:stats", en: Read how many cases there are, es: Leer cuántos casos hay}
clients:
  - {client_id: case-api, client_name: Case API, grant_types: [client_credentials], token_endpoint_auth_method: client_secret_basic}
  - client_id: portal
    client_name: Portal
    redirect_uris: ["{{.Portal}}/callback"]
    post_logout_redirect_uris: ["{{.Portal}}/signed-out"]
    grant_types: [authorization_code, refresh_token]
    scope: openid offline_access cases:read cases:claim
    apis: [cases]
    token_endpoint_auth_method: client_secret_basic
  - {client_id: machine, client_name: Machine, grant_types: [client_credentials], scope: "cases:stats", apis: [cases], token_endpoint_auth_method: client_secret_basic}
`
)

// system is the three services over SQLite files, with a front of the provider that can keep its feed back.
type system struct {
	cfg     launch.Config
	group   *launch.Group
	silent  atomic.Bool // the feed is kept back
	secrets seed.Clients
	procs   map[string]*launch.Process
}

// newSystem prepares everything and starts nothing but the front. The services send their traces to a collector.
func newSystem(t *testing.T, collector string) *system {
	t.Helper()
	built, err := launch.Built()
	must(t, err)
	dir := t.TempDir()
	s := &system{group: launch.NewGroup(dir), procs: map[string]*launch.Process{}}
	s.cfg = launch.Config{Binaries: built, Dir: dir, PortalHost: "127.0.0.1", Env: map[string][]string{}, Flags: map[string][]string{
		launch.IDP: {"--drain-delay", "0s"}, launch.CaseService: {"--drain-delay", "0s", "--feed-patience", "3s"}, launch.Portal: {"--drain-delay", "0s"},
	}}
	t.Cleanup(s.group.Stop)
	var ports launch.Ports
	inner, err := ports.Free()
	must(t, err)
	_, err = ports.Choose(&s.cfg, 0)
	must(t, err)
	ports.Release()
	must(t, s.cfg.Prepare())
	must(t, seed.KeepSecret(s.cfg, "trace-key", strings.Repeat("5a", 32)))
	for name, prefix := range map[string]string{launch.IDP: "IDP", launch.CaseService: "CASESERVICE", launch.Portal: "CASESERVICE"} {
		s.cfg.Env[name] = []string{prefix + "_OTLP_ENDPOINT=" + collector, prefix + "_TRACE_KEY_FILE=" + s.cfg.SecretFile("trace-key")}
	}
	s.cfg.Flags[launch.IDP] = append(s.cfg.Flags[launch.IDP], "--listen", launch.Loopback(inner))
	s.front(t, inner)
	ctx := t.Context()
	must(t, seed.Ask(ctx, s.cfg, nil, s.cfg.IDP, "migrate", "up"))
	secrets, err := seed.Register(ctx, s.cfg, registry, map[string]string{"CaseAPI": s.cfg.CaseAPI(), "Portal": s.cfg.Portal()})
	must(t, err)
	s.secrets = secrets
	for _, client := range []string{launch.CaseAPIClient, portalClient} {
		must(t, seed.KeepSecret(s.cfg, client, secrets[client]))
	}
	return s
}

// front stands before the provider, at the address of the issuer.
func (s *system) front(t *testing.T, inner int) {
	t.Helper()
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: launch.Loopback(inner)})
		r.Out.Host = r.In.Host
	}}
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Addr: launch.Loopback(s.cfg.Ports.IDP), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.silent.Load() && r.URL.Path == "/events/poll" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		pass.ServeHTTP(w, r)
	})}
	go func() { _ = srv.ListenAndServe() }()
	t.Cleanup(func() { _ = srv.Close() })
}

// start starts services and waits until they serve.
func (s *system) start(t *testing.T, all ...launch.Spec) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	procs, err := s.group.StartAll(ctx, all...)
	must(t, err)
	for _, p := range procs {
		s.procs[p.Name] = p
	}
}

// log is what a service wrote.
func (s *system) log(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(s.procs[name].Log)
	must(t, err)
	return string(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// browse is somebody's browser.
type browse struct {
	*agent.Agent
	t *testing.T
}

func (b browse) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// signIn goes from the portal through the provider back to the list of cases.
func (b browse) signIn(cfg launch.Config, who seed.Account) {
	b.t.Helper()
	ctx := b.t.Context()
	b.must(b.Get(ctx, cfg.Portal()+"/signin"))
	b.must(b.Submit(ctx, "", map[string]string{"identifier": who.Email, "password": who.Password}))
	if b.Page.URL.Path != "/cases" {
		b.must(b.Submit(ctx, "allow", nil))
	}
	if b.Page.URL.String() != cfg.Portal()+"/cases" || b.Page.Status != http.StatusOK {
		b.t.Fatalf("signed in at %s: %d %s", b.Page.URL, b.Page.Status, b.Page.Text)
	}
}

// until waits for something that comes by itself.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
