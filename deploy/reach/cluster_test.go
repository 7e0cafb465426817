package reach

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/deploy/internal/agent"
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
	built, err := launch.Built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := &cluster{T: t, group: launch.NewGroup(dir), cfg: launch.Config{Binaries: built, Dir: dir}, http: &http.Client{
		Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}, CheckRedirect: agent.NoRedirect,
	}}
	c.cfg.Flags = map[string][]string{launch.IDP: launch.Unlimited("--drain-delay", "0s"), launch.CaseService: {"--drain-delay", "0s"}}
	c.must(c.cfg.Prepare())
	var ports launch.Ports
	at, err := ports.Choose(&c.cfg, replicas)
	ports.Release()
	c.must(err)
	c.openStores()
	if c.clients, err = seed.RegisterApp(t.Context(), c.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.group.Stop)
	var idps, apis []launch.Spec
	for i, p := range at {
		one := c.cfg.Replica(i+1, p)
		idps, apis = append(idps, one.IDPSpec()), append(apis, one.CaseAPISpec())
		c.direct = append(c.direct, "http://"+apis[i].At)
	}
	c.balance(c.cfg.Ports.IDP, idps)
	c.balance(c.cfg.Ports.CaseAPI, apis)
	c.idps, c.apis = c.start(idps), c.start(apis)
	return c
}

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
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

// balance serves a port from replicas, until the test ends.
func (c *cluster) balance(port int, specs []launch.Spec) {
	c.Helper()
	ctx, stop := context.WithCancel(context.Background())
	c.Cleanup(stop)
	_, err := balance.Serve(ctx, launch.Loopback(port), balance.Replicas(ctx, specs).Handler(), func(err error) { c.Error(err) })
	c.must(err)
}

// start starts replicas and waits until each serves.
func (c *cluster) start(specs []launch.Spec) []*launch.Process {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), startTime)
	defer cancel()
	procs, err := c.group.StartAll(ctx, specs...)
	c.must(err)
	return procs
}

// get asks for a URL. header holds pairs.
func (c *cluster) get(ctx context.Context, from string, header ...string) (agent.Answer, error) {
	return agent.Send(ctx, c.http, http.MethodGet, from, nil, header...)
}

// post sends a form to the provider as a client of it.
func (c *cluster) post(ctx context.Context, path string, form url.Values, client string) (agent.Answer, error) {
	return agent.Send(ctx, c.http, http.MethodPost, c.cfg.Issuer()+path, form, "Authorization", c.clients.Basic(client))
}

// command runs a command of the provider.
func (c *cluster) command(ctx context.Context, args ...string) error {
	return seed.Ask(ctx, c.cfg, nil, c.cfg.IDP, args...)
}

// metric is that of one process, 0 where it has measured nothing yet.
func (c *cluster) metric(p *launch.Process, name string) float64 {
	c.Helper()
	n, err := p.Metric(c.Context(), name)
	if !errors.Is(err, launch.ErrNoMetric) {
		c.must(err)
	}
	return n
}
