package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/feed"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/web"
)

const (
	connectionsFlag = "max-connections"
	minConnections  = 16
)

// loadFlags are how much all requests together may use.
func loadFlags(f *pflag.FlagSet) {
	f.Int(connectionsFlag, web.DefaultConnections, "connections of the public listener that are open at once; beyond that one is closed that waits for its client, first the longest waiting of those that were never answered while they are more than half, else the longest waiting of all. At most a half is worked for, beside a quarter for APIs that ask what was revoked, and a quarter for those of them that wait to hear of it")
}

// readConnections reads loadFlags. Errors: *config.Error.
func readConnections(cmd *cobra.Command) (int, error) {
	n, err := cmd.Flags().GetInt(connectionsFlag)
	if err == nil && n < minConnections {
		err = &config.Error{Where: "--" + connectionsFlag, Problem: "write 16 or more"}
	}
	return n, err
}

// maxPolls is how many polls of APIs may wait, which closes no connection of theirs: a quarter of the connections, or as many
// as a feed lets wait anyway.
func maxPolls(connections int) int {
	if connections <= 0 {
		connections = web.DefaultConnections
	}
	return min(feed.MaxWaiting, connections/4)
}

// commitObserver counts what the writer did, waitObserver how long it was waited for.
func commitObserver(reg prometheus.Registerer) func(units int, took time.Duration) {
	units := prometheus.NewCounter(prometheus.CounterOpts{Name: "idp_units_total", Help: "Units of work that were taken to disk: several share a commit."})
	batch := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "idp_commit_units", Help: "Units of work in a commit.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128}})
	seconds := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "idp_commit_seconds", Help: "Time of a commit, with its fsync.", Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}})
	reg.MustRegister(units, batch, seconds)
	return func(n int, took time.Duration) {
		units.Add(float64(n))
		batch.Observe(float64(n))
		seconds.Observe(took.Seconds())
	}
}

func waitObserver(reg prometheus.Registerer) func(time.Duration) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "idp_sql_wait_seconds", Help: "Time that the first unit of work of a commit had waited for the writer.", Buckets: []float64{.0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
	})
	reg.MustRegister(h)
	return func(d time.Duration) { h.Observe(d.Seconds()) }
}

// usage registers what is looked up when it is asked for.
func (p *provider) usage(clients *client.Cache, apis *api.Cache) {
	gauge := func(name, help string, of func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, of)
	}
	p.metrics.MustRegister(p.store.Metrics("idp"), p.redisDB.Metrics("idp"), outbox{p.store},
		gauge("idp_password_queue", "Passwords that are hashed, or wait for it.", func() float64 { n, _ := p.passwords.Queue(); return float64(n) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "idp_password_refused_total", Help: "Passwords that were not looked at because too many waited."},
			func() float64 { _, n := p.passwords.Queue(); return float64(n) }),
		&caches{read: func() map[string]cacheUse {
			c, cr := clients.Size()
			a, ar := apis.Size()
			k := p.ring.Uses()
			return map[string]cacheUse{
				"clients": {entries: c, misses: cr}, "apis": {entries: a, misses: ar}, "keys": {entries: k.Keys, misses: k.Reads},
				"tokens": {entries: k.Tokens, hits: k.Hits, misses: k.Misses},
			}
		}},
	)
}

// cacheUse is what a cache in the process did.
type cacheUse struct {
	entries      int
	hits, misses int64
}

// caches tells of the caches in the process.
type caches struct{ read func() map[string]cacheUse }

var (
	cacheEntries = prometheus.NewDesc("idp_cache_entries", "What is in memory: clients, apis and keys are all there are; tokens are those whose signature was verified.", []string{"cache"}, nil)
	cacheLookups = prometheus.NewDesc("idp_cache_lookups_total", "Uses of the caches: hit, or miss, which reads the store or verifies a signature. Hits of clients, apis and keys are not counted: each request has some. Those of tokens begin anew with a change of the keys.", []string{"cache", "result"}, nil)
)

// Describe implements prometheus.Collector.
func (c *caches) Describe(to chan<- *prometheus.Desc) { to <- cacheEntries; to <- cacheLookups }

// Collect implements prometheus.Collector.
func (c *caches) Collect(to chan<- prometheus.Metric) {
	for name, u := range c.read() {
		to <- prometheus.MustNewConstMetric(cacheEntries, prometheus.GaugeValue, float64(u.entries), name)
		to <- prometheus.MustNewConstMetric(cacheLookups, prometheus.CounterValue, float64(u.misses), name, "miss")
		if name == "tokens" {
			to <- prometheus.MustNewConstMetric(cacheLookups, prometheus.CounterValue, float64(u.hits), name, "hit")
		}
	}
}

// outbox tells how many mails wait. Where the database does not answer, nothing is told.
type outbox struct{ store *sqlstore.Store }

var outboxWaiting = prometheus.NewDesc("idp_mail_waiting", "Mails that were not sent yet.", nil, nil)

// outboxPatience is how long a look at the outbox may take.
const outboxPatience = time.Second

// Describe implements prometheus.Collector.
func (o outbox) Describe(to chan<- *prometheus.Desc) { to <- outboxWaiting }

// Collect implements prometheus.Collector.
func (o outbox) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), outboxPatience)
	defer cancel()
	if n, err := o.store.WaitingMail(ctx); err == nil {
		to <- prometheus.MustNewConstMetric(outboxWaiting, prometheus.GaugeValue, float64(n))
	}
}
