package main

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"ellis.example/caseservice/internal/accesstoken"
	"ellis.example/caseservice/internal/feed"
)

const namespace = "caseservice"

// metrics are what serve counts.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	tokens   *prometheus.CounterVec
	fetches  *prometheus.CounterVec
	commits  prometheus.Counter
	units    prometheus.Counter
	commitIn prometheus.Histogram
	batch    prometheus.Histogram
	wait     prometheus.Histogram

	feedEvents  *prometheus.CounterVec
	feedDelay   prometheus.Histogram
	feedRefused prometheus.Counter
	feedPassed  prometheus.Counter
	asks        *prometheus.CounterVec
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}
	}
	buckets := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	histogram := func(name, help string) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(counter("requests_total", "Answers by route and status."), []string{"route", "status"}),
		took:     prometheus.NewHistogramVec(histogram("request_seconds", "Time to answer, by route."), []string{"route"}),
		tokens:   prometheus.NewCounterVec(counter("tokens_total", "Access tokens by result: seen, verified, refused, revoked, unavailable."), []string{"result"}),
		fetches:  prometheus.NewCounterVec(counter("jwks_fetches_total", "Fetches of the issuer's keys by result: ok, failed."), []string{"result"}),
		commits:  prometheus.NewCounter(counter("ledger_commits_total", "Commits to the database.")),
		units:    prometheus.NewCounter(counter("ledger_units_total", "Units of work in those commits: several share one.")),
		commitIn: prometheus.NewHistogram(histogram("ledger_commit_seconds", "Time of a commit, with its fsync.")),

		feedEvents: prometheus.NewCounterVec(counter("feed_events_total", "Revocations that took effect, by type."), []string{"type"}),
		feedDelay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "feed_delay_seconds", Help: "From a revocation at the issuer to its effect here; what is read at a start is not counted.",
			Buckets: []float64{.005, .01, .025, .05, .1, .15, .2, .3, .5, 1, 2.5, 5, 10, 60}, // those of the issuer's half
		}),
		feedRefused: prometheus.NewCounter(counter("feed_refused_total", "Answers of the feed that were refused, for what is wrong with them or with an event in them.")),
		feedPassed:  prometheus.NewCounter(counter("feed_passed_total", "Events that stayed unreadable and that the feed went on without: for seven minutes the issuer is asked about each token.")),
		asks:        prometheus.NewCounterVec(counter("introspections_total", "Tokens that the issuer was asked about, because its feed is silent, by outcome: active, inactive, failed."), []string{"outcome"}),
	}
	m.batch, m.wait = m.batches(), m.waits()
	m.registry.MustRegister(m.batch, m.wait, m.requests, m.took, m.tokens, m.fetches, m.commits, m.units, m.commitIn, m.feedEvents, m.feedDelay, m.feedRefused, m.feedPassed, m.asks,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	return m
}

// request is told of each answer.
func (m *metrics) request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.took.WithLabelValues(route).Observe(took.Seconds())
}

// token is told of each access token, fetch of each fetch of the issuer's keys.
func (m *metrics) token(result string) { m.tokens.WithLabelValues(result).Inc() }
func (m *metrics) fetch(result string) { m.fetches.WithLabelValues(result).Inc() }

// event is told of each revocation that took effect; a delay below zero is not known.
func (m *metrics) event(kind string, delay time.Duration) {
	m.feedEvents.WithLabelValues(kind).Inc()
	if delay >= 0 {
		m.feedDelay.Observe(delay.Seconds())
	}
}

// passed is told how many events could not be read and were gone on without.
func (m *metrics) passed(n int) { m.feedPassed.Add(float64(n)) }

// asked is told of each introspection.
func (m *metrics) asked(outcome string) { m.asks.WithLabelValues(outcome).Inc() }

// commit is told of each commit.
func (m *metrics) commit(batch int, took time.Duration) {
	m.commits.Inc()
	m.units.Add(float64(batch))
	m.batch.Observe(float64(batch))
	m.commitIn.Observe(took.Seconds())
}

// gauges adds what is looked up when it is asked for.
func (m *metrics) gauges(tokens *accesstoken.Verifier, events *feed.Feed, kept *witnesses) {
	m.gauge("remembered_tokens", "Access tokens in memory.", func() float64 { return float64(tokens.Remembered()) })
	m.gauge("feed_age_seconds", "How long ago it was known what the issuer has revoked.", func() float64 { return events.Age().Seconds() })
	m.gauge("feed_revocations", "Revocations in memory.", func() float64 { return float64(events.Known()) })
	m.gauge("ledger_export_age_seconds", "Time since the file of --ledger-export had all of the ledger; 0 where there is none.", func() float64 { return kept.export.Age().Seconds() })
	m.gauge("ledger_checkpoint_age_seconds", "Time since a checkpoint in the file of --checkpoint-file covered all of the ledger; 0 where there is none.", func() float64 { return kept.points.Age().Seconds() })
}

func (m *metrics) gauge(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, f))
}
