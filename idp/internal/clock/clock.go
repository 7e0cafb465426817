package clock

import (
	"sync"
	"time"
)

// Clock tells the time. Implementations are safe for concurrent use.
type Clock interface {
	// Now returns the present time in UTC.
	Now() time.Time
}

// Skew is how far the clocks of two processes may differ, and how far one may be set back, before what was made at a time
// counts as made by a clock that was wrong.
const Skew = time.Minute

// Future reports whether t lies further ahead of now than clocks differ. What was made then was made by a clock that was
// wrong, and would outlive everything else.
func Future(t, now time.Time) bool { return t.After(now.Add(Skew)) }

// System is the machine's clock.
type System struct{}

// Now implements Clock.
func (System) Now() time.Time { return time.Now().UTC() }

// Fake is a clock that stands still until it is told to move. The zero value stands at the zero time.
type Fake struct {
	mu sync.Mutex
	t  time.Time
}

// NewFake returns a Fake that stands at t.
func NewFake(t time.Time) *Fake { return &Fake{t: t.UTC()} }

// Now implements Clock.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.t
}

// Advance moves the clock by d, which may be negative.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.t = f.t.Add(d)
}

var (
	_ Clock = System{}
	_ Clock = (*Fake)(nil)
)
