package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/admin"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/throttle"
)

// The people and the audiences of every world.
const (
	ana       = "ana@example.org"                  // a password alone
	ben       = "ben@example.org"                  // a password and an authenticator app
	pass      = "a lamp on a wet jetty"            // of both
	benSeed   = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP" // base32
	casesAPI  = "https://cases.example"
	letterAPI = "https://letters.example"
	appURI    = "https://app.example/cb"
)

// epoch is when every world begins.
var epoch = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// registered is what every world has registered. Secrets are made and kept in the template.
const registered = `
apis:
  - {id: cases, client_id: cases, audience: "https://cases.example", name: {en: Case status, es: Estado del caso}, scopes: [
      {name: cases.read, en: See your cases, es: Ver sus casos}, {name: cases.write, en: Change your cases, es: Cambiar sus casos}]}
  - {id: letters, client_id: letters, audience: "https://letters.example", signing_alg: EdDSA, name: {en: Letters, es: Cartas}, scopes: [
      {name: letters.read, en: Read your letters, es: Leer sus cartas}]}
clients:
  - {client_id: web, client_name: Harbour Portal, redirect_uris: ["https://app.example/cb", "https://app.example/other?tenant=1"], post_logout_redirect_uris: ["https://app.example/bye"],
     grant_types: [authorization_code, refresh_token], scope: openid profile email offline_access cases.read cases.write letters.read, apis: [cases, letters]}
  - {client_id: post, client_name: Quiet Ledger, redirect_uris: ["https://post.example/cb"], token_endpoint_auth_method: client_secret_post, id_token_signed_response_alg: ES256,
     response_modes: [query], grant_types: [authorization_code, refresh_token], scope: openid profile email offline_access cases.read, apis: [cases]}
  - {client_id: key, client_name: Winter Orchard, redirect_uris: ["https://key.example/cb"], token_endpoint_auth_method: private_key_jwt, jwks: KEYS, subject_type: public,
     grant_types: [authorization_code, refresh_token, client_credentials], scope: openid offline_access cases.read, apis: [cases]}
  - {client_id: spa, client_name: Garden Kiosk, redirect_uris: ["https://spa.example/cb"], token_endpoint_auth_method: none,
     grant_types: [authorization_code, refresh_token], scope: openid offline_access cases.read, apis: [cases]}
  - {client_id: native, client_name: Pocket Tide, application_type: native, redirect_uris: ["http://127.0.0.1/cb", "http://[::1]/cb", "com.example.tide:/cb"], token_endpoint_auth_method: none,
     grant_types: [authorization_code, refresh_token], scope: openid profile offline_access cases.read, apis: [cases]}
  - {client_id: machine, client_name: Night Import, grant_types: [client_credentials], scope: cases.read cases.write letters.read, apis: [cases, letters]}
  - {client_id: cases, client_name: Case Resource Server, grant_types: [client_credentials], scope: "", apis: []}
  - {client_id: letters, client_name: Letter Resource Server, grant_types: [client_credentials], scope: "", apis: []}
`

// template is a database with keys, clients and people, made once per process: most of a start is making keys.
type template struct {
	db      []byte
	secrets map[string]string // client_id → secret
	people  map[string]string // address → account id
}

var (
	testKEK    = bytes.Repeat([]byte{7}, 32)
	testPepper = bytes.Repeat([]byte{9}, 32)
	cheap      = factor.Params{Memory: 8, Time: 1, Threads: 1}
	prepared   = sync.OnceValues(makeTemplate)
)

func makeTemplate() (_ template, err error) {
	t := template{secrets: map[string]string{}, people: map[string]string{}}
	dir, err := os.MkdirTemp("", "idp-template-")
	if err != nil {
		return t, err
	}
	defer os.RemoveAll(dir)
	ctx, file := context.Background(), filepath.Join(dir, "idp.db")
	s, err := testSettings("http://127.0.0.1:1", file, clock.NewFake(epoch), slog.New(slog.DiscardHandler))
	if err != nil {
		return t, err
	}
	p, err := assemble(ctx, s)
	if err != nil {
		return t, err
	}
	if err := t.fill(ctx, p); err != nil {
		return t, err
	}
	if err := p.close(); err != nil {
		return t, err
	}
	t.db, err = os.ReadFile(file)
	return t, err
}

// fill registers and opens what every world has.
func (t *template) fill(ctx context.Context, p *provider) error {
	a := admin.New(admin.Deps{Store: p.store, Commit: p.store, Clock: p.clock, Keys: p.ring})
	keys, err := json.Marshal(clientKeys().public())
	if err != nil {
		return err
	}
	r, err := a.Apply(ctx, bytes.ReplaceAll([]byte(registered), []byte("KEYS"), keys), "operator:test")
	if err != nil {
		return err
	}
	for _, c := range r.Clients {
		t.secrets[c.ID] = c.Secret
	}
	for _, who := range []struct{ mail, given, seed string }{{ana, "Ana", ""}, {ben, "Ben", benSeed}} {
		n := admin.NewPerson{Draft: account.Draft{Email: who.mail, GivenName: who.given, FamilyName: "Lind", BirthDate: "1990-04-05", Country: "SE", Locale: "en"}, Password: pass, TOTPSecret: who.seed}
		people := admin.NewPeople(admin.PeopleDeps{Store: p.store, Factors: p.store, Commit: p.store, Clock: p.clock})
		id, err := people.Create(ctx, n, factor.NewPasswords(testPepper, cheap), p.sealer, "operator:test")
		if err != nil {
			return err
		}
		t.people[who.mail] = id
	}
	return nil
}

func testSettings(issuer, file string, c clock.Clock, log *slog.Logger) (settings, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return settings{}, err
	}
	relay, err := notify.NewRelay("smtp://127.0.0.1:1", "Ellis <no-reply@example.org>")
	return settings{
		issuer: u, database: "sqlite:" + file, relay: relay, kek: [][]byte{testKEK}, pepper: testPepper, name: "Ellis", migrate: true,
		hashing: cheap, clock: c, log: log, limits: throttle.DefaultLimits(),
	}, err
}

// world is one provider behind real HTTP, with a clock of its own that stands still.
type world struct {
	*testing.T
	template
	p      *provider
	clock  *clock.Fake
	issuer string
	file   string // of the database
	http   *http.Client
	log    *logBuffer
	public *atomic.Pointer[http.Handler] // what answers; a test may put another provider in its place
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newWorld starts a provider. change may alter its settings.
func newWorld(t *testing.T, change ...func(*settings)) *world {
	t.Helper()
	tpl, err := prepared()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, template: tpl, clock: clock.NewFake(epoch.Add(time.Hour)), file: filepath.Join(t.TempDir(), "idp.db"), log: &logBuffer{}}
	if err := os.WriteFile(w.file, tpl.db, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.issuer = "http://" + l.Addr().String()
	s, err := testSettings(w.issuer, w.file, w.clock, slog.New(slog.NewJSONHandler(w.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&s)
	}
	if w.p, err = assemble(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if _, err := w.p.leader.Try(t.Context()); err != nil { // to the tests' own turns of jobs and mail
		t.Fatal(err)
	}
	w.public = &atomic.Pointer[http.Handler]{}
	w.public.Store(&w.p.public)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { (*w.public.Load()).ServeHTTP(rw, r) }))
	_ = srv.Listener.Close()
	srv.Listener, srv.Config.MaxHeaderBytes = l, 32<<10
	srv.Start()
	tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	w.http = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		srv.Close()
		_ = w.p.close() // a test may have closed it before
	})
	return w
}

// must ends the test on an error that is nothing of what it is about.
func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// admin manages the registry as the commands do.
func (w *world) admin() *admin.Admin {
	return admin.New(admin.Deps{Store: w.p.store, Commit: w.p.store, Clock: w.clock, Keys: w.p.ring})
}

// register applies a document and lets the process see it.
func (w *world) register(doc string) {
	w.Helper()
	r, err := w.admin().Apply(w.Context(), []byte(doc), "operator:test")
	w.must(err)
	secrets := map[string]string{}
	for id, s := range w.secrets {
		secrets[id] = s
	}
	for _, c := range r.Clients {
		if c.Secret != "" {
			secrets[c.ID] = c.Secret
		}
	}
	w.secrets = secrets
	w.clock.Advance(time.Second) // views look again
}

func (w *world) peopleAdmin() *admin.People {
	return admin.NewPeople(admin.PeopleDeps{Store: w.p.store, Factors: w.p.store, Commit: w.p.store, Clock: w.clock})
}
