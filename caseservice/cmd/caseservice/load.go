package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"ellis.example/caseservice/internal/config"
	"ellis.example/caseservice/internal/web"
)

const (
	connectionsFlag = "max-connections"
	minConnections  = 16
)

// connectionsSetting adds the setting of how many connections are open at once.
func connectionsSetting(fs *pflag.FlagSet, to *int) {
	fs.IntVar(to, connectionsFlag, web.DefaultConnections, "connections of the public listener that are open at once; beyond that one is closed that waits for its client, first the longest waiting of those that were never answered while they are more than half, else the longest waiting of all. At most a half is worked for")
}

// checkConnections says what is wrong with it. Errors: *config.Error.
func checkConnections(n int) error {
	if n < minConnections {
		return &config.Error{Where: "--" + connectionsFlag, Problem: "write 16 or more"}
	}
	return nil
}

// batches counts how many units of work share a commit, waits how long the first of them waited for the writer.
func (m *metrics) batches() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "ledger_commit_units", Help: "Units of work in a commit.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128},
	})
}

func (m *metrics) waits() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "sql_wait_seconds", Help: "Time that the first unit of work of a commit had waited for the writer.",
		Buckets: []float64{.0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
	})
}

// waited is told of each commit how long its first unit had waited.
func (m *metrics) waited(d time.Duration) { m.wait.Observe(d.Seconds()) }
