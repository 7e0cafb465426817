package lease

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/unit"
)

// How long a holder may be silent before somebody else takes over, and how often he shows that he lives. Together they
// say how long nothing is done after a holder died.
const (
	Patience = 12 * time.Second
	Every    = 3 * time.Second
)

const (
	goodbye = 2 * time.Second // for giving a lease back
	hurry   = 12              // how many more signs of life are tried while none gets through
)

// Config is what a candidate stands on.
type Config struct {
	Name   string
	Store  Reader
	Commit unit.Committer
	Clock  clock.Clock
	Log    *slog.Logger
	// Patience and Every are the package's where they are zero. All candidates of a lease need the same.
	Patience, Every time.Duration
}

// Candidate is one replica that may come to hold a lease. Try and Run are for one goroutine; the rest is safe for
// concurrent use.
type Candidate struct {
	Config
	id    string
	fence atomic.Int64 // of the last term; 0: there was none
	works atomic.Bool

	seen  Row
	since time.Time // when the row was first seen as it is
	taken time.Time // when the present term was asked for
}

// New returns a candidate that holds nothing yet.
func New(c Config) *Candidate {
	if c.Patience == 0 {
		c.Patience, c.Every = Patience, Every
	}
	return &Candidate{Config: c, id: ident.New("rep")}
}

// Fence is the fencing number of the present term or of the last one; 0 when there was none.
func (c *Candidate) Fence() int64 { return c.fence.Load() }

// Works reports whether the work of the holder is done here now.
func (c *Candidate) Works() bool { return c.works.Load() }

// Condition is what every write of a holder is bound to. It does not hold before the first term.
func (c *Candidate) Condition() unit.Write { return Held{Name: c.Name, Fence: c.Fence()} }

// Run lets work run whenever this candidate holds the lease, until ctx ends. work has to return soon when its own context
// ends: the lease was lost then, or everything is about to end.
func (c *Candidate) Run(ctx context.Context, work func(ctx context.Context)) {
	for ctx.Err() == nil {
		held, err := c.Try(ctx)
		if err != nil && ctx.Err() == nil {
			c.Log.Warn("a lease could not be asked for", "lease", c.Name, "cause", err.Error())
		}
		if held {
			c.term(ctx, work)
			continue
		}
		pause(ctx, c.Every)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Try takes the lease if nobody has it, or if its holder was silent for longer than the patience of this candidate, who
// has to have looked before. It reports whether it was taken.
func (c *Candidate) Try(ctx context.Context) (bool, error) {
	row, err := c.Store.Lease(ctx, c.Name)
	if err != nil {
		return false, err
	}
	now := c.Clock.Now()
	if row != c.seen || now.Before(c.since) {
		c.seen, c.since = row, now
	}
	if row.Holder != "" && row.Holder != c.id && now.Sub(c.since) < c.Patience {
		return false, nil
	}
	err = c.Commit.Commit(ctx, unit.Unit{Writes: []unit.Write{Take{Was: row, Holder: c.id, At: now}}})
	if unit.IsConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c.fence.Store(row.Fence + 1)
	c.taken = now
	c.Log.Info("lease taken", "lease", c.Name, "fence", row.Fence+1, "before", row.Holder)
	return true, nil
}

// term lets work run until ctx ends or the lease is lost. The work ends in time even where no answer to a sign of life comes
// at all, or where this process stood still: before anybody else may have the lease.
func (c *Candidate) term(ctx context.Context, work func(ctx context.Context)) {
	on, end := context.WithCancel(ctx)
	done := make(chan struct{})
	c.works.Store(true)
	defer c.works.Store(false)
	late := time.AfterFunc(c.left(c.taken), func() {
		c.works.Store(false)
		end()
	})
	defer late.Stop()
	go func() {
		defer close(done)
		work(on)
	}()
	held := c.keep(ctx, on, late)
	end()
	<-done
	if !held {
		return
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if err := c.Commit.Commit(last, unit.Unit{Writes: []unit.Write{Release{Name: c.Name, Fence: c.Fence(), At: c.Clock.Now()}}}); err != nil {
		c.Log.Warn("a lease was not given back", "lease", c.Name, "cause", err.Error())
	}
}

// left is how long the work may go on after a sign of life that began at a time.
func (c *Candidate) left(since time.Time) time.Duration {
	return c.Patience*3/4 - c.Clock.Now().Sub(since)
}

// keep shows signs of life and returns when ctx ends (true) or the lease is lost (false): somebody else has it, or no sign
// of life got through in time and on has ended. One that got through too late is of a lease to give back (true).
func (c *Candidate) keep(ctx, on context.Context, late *time.Timer) bool {
	wait := c.Every
	for {
		pause(on, wait)
		if ctx.Err() != nil {
			return true
		}
		now := c.Clock.Now()
		err := c.renew(ctx, now)
		switch {
		case ctx.Err() != nil:
			return true
		case unit.IsConflict(err) || on.Err() != nil:
			c.Log.Warn("lease lost", "lease", c.Name, "fence", c.Fence(), "cause", err)
			return err == nil
		case err == nil:
			late.Reset(c.left(now))
			wait = c.Every
		default: // a database that is busy turns away whoever comes at that moment: the next moment may do
			wait = c.Every / hurry
		}
	}
}

func (c *Candidate) renew(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, c.Patience/4)
	defer cancel()
	return c.Commit.Commit(ctx, unit.Unit{Writes: []unit.Write{Renew{Name: c.Name, Fence: c.Fence(), At: now}}})
}
