package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ellis.example/idp/internal/feed"
)

// follow makes the feed that APIs follow, and has it woken by what this process commits.
func (p *provider) follow() *feed.Feed {
	f := feed.New(p.store, feed.Options{Clock: p.clock, Closing: p.state.Closing(), Total: maxPolls(p.connections)})
	p.store.OnFeed(f.Wake)
	p.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "idp_feed_waiting", Help: "Polls of APIs that wait for something to be revoked."},
		func() float64 { return float64(f.Waiting()) }))
	return f
}

// feedDelay measures how long an API waited to hear of something.
func feedDelay(reg prometheus.Registerer) func(time.Duration) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "idp_feed_delay_seconds", Help: "Time from the commit of an event to the answer that tells a following API.",
		Buckets: []float64{.005, .01, .025, .05, .1, .15, .2, .3, .5, 1, 2.5, 5, 10, 60},
	})
	reg.MustRegister(h)
	return func(d time.Duration) { h.Observe(d.Seconds()) }
}
