package feed

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

const (
	pollTimeout  = 4 * time.Second        // the issuer holds a poll for two
	shortestTurn = 50 * time.Millisecond  // of a poll that brought nothing: an issuer that does not hold it is not asked without end
	firstPause   = 100 * time.Millisecond // after a failure; doubled after each further one
	longestPause = 500 * time.Millisecond // the issuer may be back at any time, and nothing that it revoked then counts before it is asked
	// passAfter is how long a SET may be bad before the feed goes on without it. A key that is not to be had yet, or a clock
	// that is a little behind, has mended by then.
	passAfter = 5 * time.Second
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
	f.apply(n.events)
	if err == nil {
		err = f.passOver(ctx, n.bad)
	}
	if err != nil {
		return f.fail(ctx, err)
	}
	if f.failed > 0 {
		f.log.Info("the revocation feed is followed again", "failures", f.failed)
	}
	f.failed, f.cursor = 0, n.cursor
	clear(f.applied)
	if !n.more { // the view is complete
		f.heard.Store(&n.asOf)
	}
	if len(n.events) == 0 {
		return shortestTurn - time.Since(began)
	}
	return 0
}

// apply makes verified events count, whatever else is wrong with the answer that they came in. One that comes again, because
// the cursor did not move, changes nothing.
func (f *Feed) apply(verified map[string]event) {
	now, events := f.clock.Now(), make([]event, 0, len(verified))
	for jti, e := range verified {
		if !f.applied[jti] {
			f.applied[jti] = true
			events = append(events, e)
		}
	}
	if !f.revoked.add(events, now) {
		f.doubtUntil(now.Add(keep), "revocations could not be kept or understood")
	}
	for _, e := range events {
		if e.kind == keys {
			f.issuer.Changed()
		}
		delay := time.Duration(-1)
		if !e.toe.IsZero() && f.heard.Load() != nil { // what is read at a start happened before, and delayed nothing
			delay = max(0, now.Sub(e.toe))
		}
		f.observe.Applied(e.name, delay)
	}
	f.revoked.forget(now)
}

// doubtUntil lets each token be asked about until a time.
func (f *Feed) doubtUntil(until time.Time, why string) {
	f.doubt.Store(&until)
	f.log.Error("each token is asked about until none can be meant", "why", why, "until", until)
}

// passOver refuses an answer for its bad SETs, until each of them has been bad for so long that it will never be read. Then the
// feed goes on without them: whatever they void was issued before, and is asked about until it has ended. The keys are fetched
// anew, for one of them may have been revoked. What is bad is known by its jti, which is that of the event, however often it is
// signed. Errors: errRefused; that of the keys.
func (f *Feed) passOver(ctx context.Context, bad map[string]error) error {
	now, since, due := f.clock.Now(), make(map[string]time.Time, len(bad)), true
	var first error
	for _, jti := range slices.Sorted(maps.Keys(bad)) {
		at, seen := f.bad[jti]
		if !seen || at.After(now) {
			at = now
		}
		since[jti] = at
		due = due && now.Sub(at) >= passAfter
		if first == nil {
			first = bad[jti]
		}
	}
	f.bad = since
	switch {
	case len(bad) == 0:
		return nil
	case !due:
		return first
	}
	if err := f.issuer.Refresh(ctx); err != nil {
		return err
	}
	f.doubtUntil(f.clock.Now().Add(keep), first.Error())
	f.observe.Passed(len(bad))
	clear(f.bad)
	return nil
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
