//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
	"ellis.example/deploy/internal/servers"
)

// cluster is a demo with two of each service that runs in this process, so that a test can end and start its children.
type cluster struct {
	running
	*testing.T
	d     *demo
	pg    *servers.Postgres
	said  *speech
	stop  context.CancelFunc
	ended chan error
}

// speech is what was said, which can be read while it is written.
type speech struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *speech) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *speech) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	pg, redis := startServers(t)
	return over(t, pg, options{json: true, ephemeral: true, postgres: pg.DSN("postgres"), redis: redis.URL(), replicas: 2})
}

func startServers(t *testing.T) (*servers.Postgres, *servers.Redis) {
	t.Helper()
	pg, err := servers.StartPostgres(t.Context(), "fsync=off", "shared_buffers=64MB")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Stop() })
	redis, err := servers.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Stop() })
	return pg, redis
}

// over starts a demo over a server.
func over(t *testing.T, pg *servers.Postgres, o options) *cluster {
	t.Helper()
	out, in := io.Pipe()
	c := &cluster{T: t, pg: pg, said: &speech{}, ended: make(chan error, 1)}
	c.d = &demo{options: o, stdout: in, stderr: c.said}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	go func() {
		err := c.d.run(ctx)
		_ = in.CloseWithError(errors.Join(err, io.EOF))
		c.ended <- err
	}()
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Log(c.said)
		}
	})
	if err := json.NewDecoder(out).Decode(&c.report); err != nil {
		t.Fatalf("%v\n%s", err, c.said)
	}
	return c
}

// Two of each service behind a load balancer do what one does; they are replaced one by one while people use them, and
// nobody notices; one dies and the database is restarted, and everything goes on by itself.
func TestDemo_ReplicasGoOnThroughRestartsAndDeaths(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for name, pids := range c.Pids {
		if len(pids) != 2 {
			t.Errorf("%d of %s run", len(pids), name)
		}
	}
	w := c.signIn(t, c.People[0])
	c.seesCases(w)
	c.checkTokens(t, w, c.Clients[1], 2)
	c.replaceAll()
	c.seesCases(w)
	c.checkTokens(t, w, c.Clients[2], 2)
	c.askForMail("early@example.com")
	zombie, stopped := c.stopLeader()
	c.checkTokens(t, c.signInByCode(c.People[1]), c.Clients[1], 2)
	c.askForMail("new@example.com")
	c.restartDatabase()
	c.casesReturn(w)
	c.checkTokens(t, w, c.Clients[1], 2)
	c.mailComes("new@example.com", stopped)
	c.goOn(zombie)
	c.kill(zombie, func() { c.checkTokens(t, w, c.Clients[2], 2) })
	c.mailComes("early@example.com", stopped)
	c.end()
}

// TestDemo_ReplicasMayBeAdded runs over the same data with one of each service first and with two after it.
func TestDemo_ReplicasMayBeAdded(t *testing.T) {
	t.Parallel()
	pg, redis := startServers(t)
	o := options{json: true, dir: filepath.Join(t.TempDir(), "data"), postgres: pg.DSN("postgres"), redis: redis.URL(), replicas: 1}
	c := over(t, pg, o)
	c.end()
	o.replicas = 2
	c = over(t, pg, o)
	c.seesCases(c.signIn(t, c.People[0]))
	out, err := c.d.cfg.Command(t.Context(), c.d.cfg.IDP, "audit", "tail", "--lines", "1000")
	if err != nil || strings.Count(string(out), "checkpoints.begun") != 1 {
		t.Errorf("%v: %s", err, out)
	}
	c.end()
}

// casesReturn waits until the cases are there again: their database was away too.
func (c *cluster) casesReturn(w walker) {
	c.Helper()
	w.StopAt = nil
	began := time.Now()
	for n := 0; n < 4; { // both replicas, and twice
		w.must(w.Get(c.Context(), c.Portal+"/cases"))
		n++
		if !strings.Contains(plain(w.Page.Text), c.People[0].Receipts[0]) {
			n = 0
			time.Sleep(50 * time.Millisecond)
		}
		if time.Since(began) > 5*time.Second {
			c.Fatalf("no cases %s after the database: %s", time.Since(began), w.Page.Text)
		}
	}
}

// seesCases looks at the portal, twice: each of its processes knows who signed in.
func (c *cluster) seesCases(w walker) {
	c.Helper()
	for range 2 {
		w.StopAt = nil
		w.must(w.Get(c.Context(), c.Portal+"/cases"))
		for _, n := range c.People[0].Receipts {
			if w.Page.URL.String() != c.Portal+"/cases" || !strings.Contains(plain(w.Page.Text), n) {
				c.Errorf("%s is not shown at %s: %s", n, w.Page.URL, w.Page.Text)
			}
		}
	}
}

// signInByCode signs a person in at the identity provider, with both factors, for the first of the clients.
func (c *cluster) signInByCode(p person) walker {
	c.Helper()
	w := walker{agent.New(), c.T}
	web := c.Clients[1]
	w.StopAt = func(u *url.URL) bool { return strings.HasPrefix(u.String(), web.RedirectURIs[0]) }
	q := url.Values{"client_id": {web.ID}, "redirect_uri": {web.RedirectURIs[0]}, "response_type": {"code"}, "scope": {"openid"}, "state": {"x"},
		"code_challenge": {"5mR2KV9cLRIaka9c_qJFx1FsYqn2DTbxiASzFHjeV5Q"}, "code_challenge_method": {"S256"}}
	w.must(w.Get(c.Context(), c.Issuer+"/authorize?"+q.Encode()))
	w.must(w.Submit(c.Context(), "", map[string]string{"identifier": p.Email, "password": p.Password}))
	code, err := totp.GenerateCode(p.TOTPSecret, time.Now())
	w.must(err)
	w.must(w.Submit(c.Context(), "", map[string]string{"code": code}))
	if w.Page.Location == "" {
		w.must(w.Submit(c.Context(), "allow", nil))
	}
	if !strings.Contains(w.Page.Location, "code=") {
		c.Fatalf("%s is not signed in: at %s: %s", p.Email, w.Page.URL, w.Page.Text)
	}
	return w
}

// replaceAll replaces every process by another one, each when the one before serves, under load: no request fails.
func (c *cluster) replaceAll() {
	c.Helper()
	ctx, stop := context.WithCancel(c.Context())
	defer stop()
	var done, failed atomic.Int64
	var users sync.WaitGroup
	for i := range 6 {
		users.Go(func() {
			for ctx.Err() == nil {
				if err := c.use(i); err != nil {
					failed.Add(1)
					c.Log(err)
				}
				done.Add(1)
			}
		})
	}
	began := time.Now()
	for i, p := range c.d.procs {
		if err := p.End(); err != nil {
			c.Errorf("%s ended: %v\n%s", p.Name, err, launch.Tail(p.Log))
		}
		again, err := c.d.group.Start(p.Spec)
		if err != nil {
			c.Fatal(err)
		}
		if err := again.Ready(ctx); err != nil {
			c.Fatal(err)
		}
		c.d.procs[i] = again
	}
	stop()
	users.Wait()
	c.Logf("%d processes were replaced in %s under %d requests, of which %d failed", len(c.d.procs), time.Since(began).Round(time.Millisecond), done.Load(), failed.Load())
	if done.Load() < 100 || failed.Load() > 0 {
		c.Errorf("%d of %d requests failed", failed.Load(), done.Load())
	}
}

// use sends one request of those that a service lives on.
func (c *cluster) use(kind int) error {
	machine := c.Clients[3]
	method, to, form, header := http.MethodGet, c.Issuer+"/.well-known/openid-configuration", url.Values(nil), []string(nil)
	switch kind % 3 {
	case 1:
		method, to, form = http.MethodPost, c.Issuer+"/token", seed.ForMachine()
		header = []string{"Authorization", seed.Clients{machine.ID: machine.Secret}.Basic(machine.ID)}
	case 2:
		to = c.Portal + "/"
	}
	a, err := agent.Send(context.Background(), &http.Client{Timeout: 10 * time.Second}, method, to, form, header...)
	if err != nil || a.Status != http.StatusOK {
		return fmt.Errorf("%s answers %d (%v)", to, a.Status, err) //nolint:errorlint // there may be none
	}
	return nil
}

// leads reports whether a process does the work of all of its kind.
func (c *cluster) leads(p *launch.Process) bool {
	c.Helper()
	n, err := p.Metric(c.Context(), "idp_leader")
	if err != nil {
		c.Error(err)
	}
	return n == 1
}

// stopLeader stops the identity provider that does the work of both in its tracks, and returns when the load balancer has
// noticed. It may go on later, and must not take up where it was.
func (c *cluster) stopLeader() (*launch.Process, time.Time) {
	c.Helper()
	for _, p := range c.d.procs {
		if service(p.Name) == launch.IDP && c.leads(p) {
			if err := syscall.Kill(p.Pid, syscall.SIGSTOP); err != nil {
				c.Fatal(err)
			}
			stopped := time.Now()
			time.Sleep(time.Second)
			return p, stopped
		}
	}
	c.Fatal("nobody leads")
	return nil, time.Time{}
}

// goOn lets a process that was stopped go on: it finds out that another one leads.
func (c *cluster) goOn(p *launch.Process) {
	c.Helper()
	if err := syscall.Kill(p.Pid, syscall.SIGCONT); err != nil {
		c.Fatal(err)
	}
	for began := time.Now(); c.leads(p) || !strings.Contains(launch.Tail(p.Log), `"msg":"lease lost"`); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			c.Fatalf("it thinks that it leads:\n%s", launch.Tail(p.Log))
		}
	}
}

// kill ends a process as a crash would, looks whether people are told, and goes on with f. A request that was under way there
// may fail, if it was no safe one; none that comes later does.
func (c *cluster) kill(p *launch.Process, f func()) {
	c.Helper()
	if err := syscall.Kill(p.Pid, syscall.SIGKILL); err != nil {
		c.Fatal(err)
	}
	for began := time.Now(); !strings.Contains(c.said.String(), "1 of idp go on"); time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			break
		}
	}
	if said := c.said.String(); !strings.Contains(said, p.Name+" ended by itself (signal: killed)") || !strings.Contains(said, "1 of idp go on") {
		c.Errorf("nobody was told:\n%s", said)
	}
	f()
}

// restartDatabase restarts the server as a crash would. Writes go on within two seconds of its return.
func (c *cluster) restartDatabase() {
	c.Helper()
	if err := c.pg.Kill(); err != nil {
		c.Fatal(err)
	}
	if err := c.use(0); err != nil {
		c.Errorf("without a database: %v", err)
	}
	if err := c.use(1); err == nil {
		c.Error("a token was issued without a database")
	}
	if err := c.pg.Start(c.Context()); err != nil {
		c.Fatal(err)
	}
	began := time.Now()
	for c.use(1) != nil {
		if time.Since(began) > 10*time.Second {
			c.Fatal("nothing is written ten seconds after the database came back")
		}
		time.Sleep(20 * time.Millisecond)
	}
	d := time.Since(began)
	c.Logf("the first write came %s after the database", d.Round(time.Millisecond))
	if d > 2*time.Second {
		c.Errorf("the first write came %s after the database", d)
	}
}

// askForMail signs somebody new up: a mail is queued.
func (c *cluster) askForMail(address string) {
	c.Helper()
	w := walker{agent.New(), c.T}
	w.must(w.Get(c.Context(), c.Issuer+"/signup"))
	w.must(w.Submit(c.Context(), "", map[string]string{"email": address}))
}

// mailComes waits for the mail that the other replica sends.
func (c *cluster) mailComes(address string, gone time.Time) {
	c.Helper()
	count := func() int {
		_, body := ask(c.T, c.Mailbox+"/messages.json")
		return strings.Count(body, `"to":"`+address) + strings.Count(body, `"to": "`+address)
	}
	for count() == 0 {
		if time.Since(gone) > 30*time.Second {
			c.Fatalf("no mail %s after its sender was gone", time.Since(gone))
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.Logf("%s after who would have sent it was gone, the mail for %s was there", time.Since(gone).Round(time.Millisecond), address)
	// Who was stopped with the mail in its hands may bring it to the relay as well: a mail is sent at least once.
	if n := count(); n > 2 {
		c.Errorf("it came %d times", n)
	}
}

// end ends the demo and looks whether it tidied up.
func (c *cluster) end() {
	c.Helper()
	c.stop()
	select {
	case err := <-c.ended:
		if err != nil {
			c.Error(err)
		}
	case <-time.After(time.Minute):
		c.Fatal("the demo does not end")
	}
	if !c.d.ephemeral {
		return // its databases stay
	}
	left, err := c.pg.SQL(context.WithoutCancel(c.Context()), "postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'ellis_demo_%'")
	if err != nil || left != "" {
		c.Errorf("databases are left: %q (%v)", left, err)
	}
	c.noChildren(c.T)
}

func TestOptions_ReplicasNeedWhatTheyShare(t *testing.T) {
	t.Parallel()
	for _, o := range []options{
		{replicas: 2}, {replicas: 2, postgres: "p"}, {replicas: 2, redis: "r"}, {replicas: 0}, {replicas: 10, postgres: "p", redis: "r"}, {replicas: 1, ephemeral: true, dir: "d"},
	} {
		if o.check() == "" {
			t.Errorf("%+v is taken", o)
		}
	}
	for _, o := range []options{{replicas: 1}, {replicas: 2, postgres: "p", redis: "r"}, {replicas: 1, postgres: "p"}} {
		if wrong := o.check(); wrong != "" {
			t.Errorf("%+v: %s", o, wrong)
		}
	}
}

// A folder whose data lies elsewhere than the call says is refused, before anything is made.
func TestOpenDatabases_RefusesAFolderOfAnotherKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ had, asked string }{{"", "postgres://u@127.0.0.1:1/x"}, {"ellis_demo_x", ""}} {
		s := state{Seeded: time.Now(), Databases: c.had}
		d := &demo{options: options{postgres: c.asked}}
		if err := d.openDatabases(t.Context(), &data{dir: "folder", state: s}); err == nil || !strings.Contains(err.Error(), "the data of folder lies") {
			t.Errorf("had %q, asked %q: %v", c.had, c.asked, err)
		}
	}
	d := &demo{options: options{postgres: "host=x password=hunter2"}}
	if err := d.openDatabases(t.Context(), &data{state: state{Databases: "ellis_demo_x"}}); !errors.Is(err, errServer) {
		t.Error(err)
	}
}
