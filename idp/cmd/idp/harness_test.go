package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// template is a database with keys, clients and people, made once per process and kind: most of a start is making keys.
type template struct {
	db      []byte            // of SQLite
	dsn     string            // of PostgreSQL; copied from, and nobody is connected to it
	secrets map[string]string // client_id → secret
	people  map[string]string // address → account id
}

var (
	testKEK    = bytes.Repeat([]byte{7}, 32)
	testPepper = bytes.Repeat([]byte{9}, 32)
	cheap      = factor.Params{Memory: 8, Time: 1, Threads: 1}
)

// makeTemplate fills an empty database.
func makeTemplate(database string) (_ template, err error) {
	t := template{secrets: map[string]string{}, people: map[string]string{}}
	ctx := context.Background()
	s, err := testSettings("http://127.0.0.1:1", "", clock.NewFake(epoch), slog.New(slog.DiscardHandler))
	if err != nil {
		return t, err
	}
	s.database = database
	p, err := assemble(ctx, s)
	if err != nil {
		return t, err
	}
	if err := t.fill(ctx, p); err != nil {
		return t, errors.Join(err, p.close())
	}
	return t, p.close()
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

// world is a provider behind real HTTP, with a clock of its own that stands still.
type world struct {
	*testing.T
	template
	on     kind
	p      *provider
	all    []*provider // its replicas; p is the first
	clock  *clock.Fake
	issuer string
	file   string // of the database, if it is SQLite
	dsn    string // of the database, if it is PostgreSQL
	beside beside
	http   *http.Client
	log    *logBuffer
	public *atomic.Pointer[http.Handler] // what answers; a test may put another provider in its place
	only   *atomic.Int64                 // the number of the replica that gets every request, from 1; 0: they take turns
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

// newWorld starts a provider that is one process with everything in it. change may alter its settings.
func newWorld(t *testing.T, change ...func(*settings)) *world {
	t.Helper()
	return embedded.world(t, change...)
}

// world starts a provider on a kind of store. change may alter its settings.
func (k kind) world(t *testing.T, change ...func(*settings)) *world {
	t.Helper()
	w := &world{T: t, on: k, clock: clock.NewFake(epoch.Add(time.Hour)), log: &logBuffer{}}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	w.must(err)
	w.issuer = "http://" + l.Addr().String()
	s, err := testSettings(w.issuer, "", w.clock, slog.New(slog.NewJSONHandler(w.log, nil)))
	w.must(err)
	w.keep(&s)
	for _, f := range change {
		f(&s)
	}
	for range k.replicas() {
		p, err := assemble(t.Context(), s)
		w.must(err)
		t.Cleanup(func() { _ = p.close() }) // a test may have closed it before
		w.all = append(w.all, p)
	}
	w.p = w.all[0]
	_, err = w.p.leader.Try(t.Context()) // to the tests' own turns of jobs and mail
	w.must(err)
	w.serve(l)
	return w
}

// serve lets the replicas take turns: each request goes to another one than the last, unless only one is asked.
func (w *world) serve(l net.Listener) {
	var n atomic.Int64
	w.only = &atomic.Int64{}
	turns := http.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		i := w.only.Load() - 1
		if i < 0 {
			i = n.Add(1) % int64(len(w.all))
		}
		w.all[i].public.ServeHTTP(rw, r)
	}))
	w.public = &atomic.Pointer[http.Handler]{}
	w.public.Store(&turns)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { (*w.public.Load()).ServeHTTP(rw, r) }))
	_ = srv.Listener.Close()
	srv.Listener, srv.Config.MaxHeaderBytes = l, 32<<10
	srv.Start()
	tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	w.http = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	w.Cleanup(func() { tr.CloseIdleConnections(); srv.Close() })
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
