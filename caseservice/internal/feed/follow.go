package feed

import (
	"context"
	"errors"
	"time"
)

const (
	pollTimeout  = 4 * time.Second        // the issuer holds a poll for two
	shortestTurn = 50 * time.Millisecond  // of a poll that brought nothing: an issuer that does not hold it is not asked without end
	firstPause   = 100 * time.Millisecond // after a failure; doubled after each further one
	longestPause = 2 * time.Second
)

// Follow follows the feed until ctx ends.
func (f *Feed) Follow(ctx context.Context) {
	for ctx.Err() == nil {
		pause := f.turn(ctx)
		if pause <= 0 {
			continue
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
		case <-t.C:
		}
	}
}

// turn asks once, makes the answer count, and returns how long to wait before the next time.
func (f *Feed) turn(ctx context.Context) time.Duration {
	began := time.Now() //nolint:forbidigo // it paces, and decides nothing
	n, err := f.poll(ctx, question{MaxEvents: maxEvents, ReturnImmediately: f.heard.Load() == nil, Ack: []string{}, After: f.cursor})
	if err != nil {
		return f.fail(ctx, err)
	}
	if f.failed > 0 {
		f.log.Info("the revocation feed is followed again", "failures", f.failed)
	}
	f.failed, f.cursor = 0, n.cursor
	f.apply(n)
	if len(n.events) == 0 {
		return shortestTurn - time.Since(began)
	}
	return 0
}

// apply makes an answer count. The view is complete when nothing more waits.
func (f *Feed) apply(n news) {
	now := f.clock.Now()
	if !f.revoked.add(n.events, now) {
		until := now.Add(keep)
		f.doubt.Store(&until)
		f.log.Warn("revocations could not be kept or understood: each token is asked about until none can be meant", "until", until)
	}
	for _, e := range n.events {
		if e.kind == keys {
			f.issuer.Renew()
		}
		delay := time.Duration(-1)
		if !e.toe.IsZero() {
			delay = max(0, now.Sub(e.toe))
		}
		f.observe.Applied(e.name, delay)
	}
	f.revoked.forget(now)
	if !n.more {
		f.heard.Store(&now)
	}
}

// fail says what went wrong and how long to wait. What is known stays known, whatever the error is.
func (f *Feed) fail(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	if errors.Is(err, errRefused) {
		f.observe.Refused()
	}
	if errors.Is(err, errCursor) && f.cursor != "" {
		f.cursor = "" // what is read from here on may lack what came between: the view counts again when it is complete
		f.heard.Store(nil)
		f.log.Warn("the revocation feed begins anew", "error", err)
		return 0
	}
	pause := min(longestPause, firstPause<<min(f.failed, 5))
	f.failed++
	f.log.Warn("the revocation feed could not be followed", "error", err, "failures", f.failed, "pause", pause)
	return pause
}
