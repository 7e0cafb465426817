package reach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/deploy/internal/balance"
	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
	"ellis.example/deploy/internal/servers"
)

const (
	replicas  = 2
	startTime = time.Minute
)

// cluster is two of each service, behind a load balancer for each.
type cluster struct {
	*testing.T
	cfg     launch.Config
	group   *launch.Group
	pg      *servers.Postgres
	redis   *servers.Redis
	clients seed.Clients
	idps    []*launch.Process
	apis    []*launch.Process
	direct  []string // base URLs of the replicas of the API
	http    *http.Client
	people  atomic.Int64 // how many were made
}

// startCluster starts everything; it ends with the test.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	root, err := launch.Root(".")
	if err != nil {
		t.Fatal(err)
	}
	built, err := launch.Build(t.Context(), root, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := &cluster{T: t, group: launch.NewGroup(dir), cfg: launch.Config{Binaries: built, Dir: dir}, http: &http.Client{
		Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	// Limits are for strangers; here one machine is everybody.
	c.cfg.Flags = map[string][]string{launch.IDP: {"--drain-delay", "0s", "--begin-rate", "0", "--form-rate", "0", "--failure-rate", "0"}, launch.CaseService: {"--drain-delay", "0s"}}
	c.must(c.cfg.Prepare())
	at := c.choosePorts()
	c.openStores()
	if c.clients, err = seed.RegisterApp(t.Context(), c.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.group.Stop)
	var idps, apis []launch.Spec
	for i, p := range at {
		one := c.cfg.Replica(i+1, p)
		idps, apis = append(idps, one.IDPSpec()), append(apis, one.CaseAPISpec())
		c.direct = append(c.direct, "http://"+launch.Loopback(p.CaseAPI))
	}
	c.balance(c.cfg.Ports.IDP, idps, at, func(p launch.ServicePorts) int { return p.IDP })
	c.balance(c.cfg.Ports.CaseAPI, apis, at, func(p launch.ServicePorts) int { return p.CaseAPI })
	c.idps, c.apis = c.start(idps), c.start(apis)
	return c
}

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// choosePorts returns those of the replicas; those of the configuration are the balancers'.
func (c *cluster) choosePorts() []launch.ServicePorts {
	c.Helper()
	var ports launch.Ports
	defer ports.Release()
	at := make([]launch.ServicePorts, replicas)
	all := []*int{&c.cfg.Ports.IDP, &c.cfg.Ports.CaseAPI, &c.cfg.Ports.IDPPrivate, &c.cfg.Ports.CaseAPIPrivate, &c.cfg.SMTP}
	for i := range at {
		all = append(all, &at[i].IDP, &at[i].CaseAPI, &at[i].IDPPrivate, &at[i].CaseAPIPrivate)
	}
	for _, to := range all {
		var err error
		*to, err = ports.Free()
		c.must(err)
	}
	return at
}

func (c *cluster) openStores() {
	c.Helper()
	var err error
	c.pg, err = servers.StartPostgres(c.Context())
	c.must(err)
	c.Cleanup(func() { _ = c.pg.Stop() })
	c.redis, err = servers.StartRedis(c.Context())
	c.must(err)
	c.Cleanup(func() { _ = c.redis.Stop() })
	c.must(c.pg.Create(c.Context(), launch.IDP, launch.CaseService))
	c.cfg.Databases, c.cfg.Redis = launch.Databases{IDP: c.pg.DSN(launch.IDP), Cases: c.pg.DSN(launch.CaseService)}, c.redis.URL()
}

// balance serves a port from the replicas that will listen.
func (c *cluster) balance(port int, specs []launch.Spec, at []launch.ServicePorts, of func(launch.ServicePorts) int) {
	c.Helper()
	ctx, stop := context.WithCancel(context.Background())
	pool := balance.NewPool(ctx)
	for i, s := range specs {
		pool.Add(balance.Backend{URL: &url.URL{Scheme: "http", Host: launch.Loopback(of(at[i]))}, Ready: s.Ready})
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", launch.Loopback(port))
	c.must(err)
	srv := &http.Server{Handler: pool.Handler(), ReadHeaderTimeout: 5 * time.Second}
	c.Cleanup(func() { stop(); _ = srv.Close() })
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			c.Errorf("the load balancer ended: %v", err)
		}
	}()
}

// start starts replicas and waits until each serves.
func (c *cluster) start(specs []launch.Spec) (out []*launch.Process) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), startTime)
	defer cancel()
	for _, s := range specs {
		p, err := c.group.Start(s)
		c.must(err)
		out = append(out, p)
	}
	for _, p := range out {
		c.must(p.Ready(ctx))
	}
	return out
}

// answer is what came back.
type answer struct {
	status    int
	location  string
	challenge string
	retry     string
	body      []byte
}

// send sends a form, or nothing where it is nil. header holds pairs.
func (c *cluster) send(ctx context.Context, to string, form url.Values, header ...string) (a answer, err error) {
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return a, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	a = answer{status: res.StatusCode, location: res.Header.Get("Location"), challenge: res.Header.Get("WWW-Authenticate"), retry: res.Header.Get("Retry-After")}
	a.body, err = io.ReadAll(res.Body)
	return a, err
}

// command runs a command of the provider.
func (c *cluster) command(ctx context.Context, args ...string) error {
	return seed.Ask(ctx, c.cfg, nil, c.cfg.IDP, args...)
}

// metric sums the samples of a metric whose name, with its labels, begins so, of one process.
func (c *cluster) metric(p *launch.Process, name string) (sum float64) {
	c.Helper()
	a, err := c.send(c.Context(), strings.Replace(p.Spec.Ready, "/readyz", "/metrics", 1), nil)
	c.must(err)
	for line := range strings.Lines(string(a.body)) {
		if rest, is := strings.CutPrefix(line, name); is && (rest[0] == ' ' || rest[0] == '{') {
			var v float64
			_, err := fmt.Sscan(rest[strings.LastIndex(rest, " "):], &v)
			c.must(err)
			sum += v
		}
	}
	return sum
}
