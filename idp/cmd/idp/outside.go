package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ellis.example/idp/internal/clock"
)

// How long a copy of the record outside the database may be behind before that is said: what happened since is known to
// nobody where the database is lost, and where both copies stop together nothing else would tell.
const (
	exportEvery     = time.Second
	exportLate      = time.Minute
	checkpointEvery = 30 * time.Second
	checkpointLate  = 2 * time.Minute
)

// outsideCopy is one of them: since when it may lack something.
type outsideCopy struct {
	clk  clock.Clock
	late time.Duration
	kept bool         // this replica keeps one
	at   atomic.Int64 // when it was last known to have everything, in microseconds
}

// newOutsideCopy returns a copy that is up to date, with its age as a metric.
func newOutsideCopy(clk clock.Clock, late time.Duration, kept bool, reg prometheus.Registerer, name, help string) *outsideCopy {
	c := &outsideCopy{clk: clk, late: late, kept: kept}
	c.at.Store(clk.Now().UnixMicro())
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return c.age().Seconds() }))
	return c
}

// age is how long ago the copy was last known to have everything; 0 where none is kept.
func (c *outsideCopy) age() time.Duration {
	if !c.kept {
		return 0
	}
	return max(0, c.clk.Now().Sub(time.UnixMicro(c.at.Load())))
}

// behind reports whether that is too long ago.
func (c *outsideCopy) behind() bool { return c.age() > c.late }

// watched is do, which brings the copy up to date.
func (c *outsideCopy) watched(do func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		began := c.clk.Now()
		err := do(ctx)
		if err == nil {
			c.at.Store(began.UnixMicro())
		}
		return err
	}
}
