package sqldb

import (
	"database/sql"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics returns what can be seen of the queue and the connections at a moment, under names that begin with prefix. Where there
// is no database (db is nil) everything is zero.
func (db *DB) Metrics(prefix string) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+"_sql_"+name, help, labels, nil)
	}
	return &collector{
		db:      db,
		queue:   desc("queue", "Units of work that wait for the writer."),
		refused: desc("refused_total", "Units of work that were refused because too many waited."),
		conns:   desc("connections", "Connections that read, by state: idle, in_use.", "state"),
		most:    desc("connections_most", "How many connections may read at once."),
		waits:   desc("connection_waits_total", "Reads that had to wait for a connection."),
		waited:  desc("connection_wait_seconds_total", "Time that reads waited for a connection."),
	}
}

type collector struct {
	db                                         *DB
	queue, refused, conns, most, waits, waited *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.queue, c.refused, c.conns, c.most, c.waits, c.waited} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v float64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v)
	}
	var s sql.DBStats
	queued, refused := 0, int64(0)
	if c.db != nil {
		s, queued, refused = c.db.pool.Stats(), len(c.db.w.queue), c.db.w.refused.Load()
	}
	gauge(c.queue, queued)
	counter(c.refused, float64(refused))
	gauge(c.conns, s.Idle, "idle")
	gauge(c.conns, s.InUse, "in_use")
	gauge(c.most, s.MaxOpenConnections)
	counter(c.waits, float64(s.WaitCount))
	counter(c.waited, s.WaitDuration.Seconds())
}
