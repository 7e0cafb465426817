package redisdb

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// Metrics returns what can be seen of the connections at a moment, under names that begin with prefix. Where there is no Redis
// (d is nil) everything is zero.
func (d *DB) Metrics(prefix string) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+"_redis_"+name, help, labels, nil)
	}
	return &collector{
		db:       d,
		conns:    desc("connections", "Connections to Redis, by state: idle, in_use.", "state"),
		asked:    desc("connections_asked_total", "Times that a connection to Redis was asked for, by outcome: hit (there was one), miss (a new one was made), timeout (none came free).", "outcome"),
		outdated: desc("connections_stale_total", "Connections to Redis that were found broken or too old."),
	}
}

type collector struct {
	db                     *DB
	conns, asked, outdated *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.conns, c.asked, c.outdated} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	s := &redis.PoolStats{}
	if c.db != nil {
		s = c.db.PoolStats()
	}
	one := func(d *prometheus.Desc, t prometheus.ValueType, v uint32, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, t, float64(v), labels...)
	}
	one(c.conns, prometheus.GaugeValue, s.IdleConns, "idle")
	one(c.conns, prometheus.GaugeValue, s.TotalConns-min(s.IdleConns, s.TotalConns), "in_use")
	one(c.asked, prometheus.CounterValue, s.Hits, "hit")
	one(c.asked, prometheus.CounterValue, s.Misses, "miss")
	one(c.asked, prometheus.CounterValue, s.Timeouts, "timeout")
	one(c.outdated, prometheus.CounterValue, s.StaleConns)
}
