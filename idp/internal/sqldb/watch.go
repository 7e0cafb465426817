package sqldb

import (
	"sync"
	"time"

	"ellis.example/idp/internal/clock"
)

// Watch keeps a process from writing into a database that was set back underneath it, and in an epoch that it has not seen
// begin. A Guard asks it.
type Watch struct {
	Clock   clock.Clock
	Settle  time.Duration // how long everything is refused in a new epoch: until what was read in the old one is over
	SetBack error         // what is said meanwhile
	Raised  error

	mu    sync.Mutex
	known bool
	began int64     // when the epoch began, which tells it from another of the same number
	seen  time.Time // when the database said so last
	until time.Time
	halt  bool // until a later epoch
}

// Halt refuses every write until a later epoch began: the database has been set back.
func (w *Watch) Halt() { w.set(true) }

// Resume ends what Halt began: the database was accepted as it is.
func (w *Watch) Resume() { w.set(false) }

func (w *Watch) set(halt bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.halt = halt
}

// Halted reports whether everything is refused because the database was set back.
func (w *Watch) Halted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.halt
}

// Began returns when the epoch began that this process works in, as of a transaction that is no older than Settle; known is false
// where there was none. Whoever goes by an older one commits nothing: See refuses it, until what was read in that epoch is over.
func (w *Watch) Began() (began int64, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	age := w.Clock.Now().Sub(w.seen)
	return w.began, w.known && age >= 0 && age < w.Settle
}

// See compares the epoch of the database, told by when it began, with the one that this process works in. Errors: SetBack,
// Raised.
func (w *Watch) See(began int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.Clock.Now()
	if w.known && began != w.began {
		w.until = now.Add(w.Settle)
		w.halt = w.halt && began < w.began // an earlier epoch is one that it was set back into
	}
	w.known, w.began, w.seen = true, began, now
	if w.halt {
		return w.SetBack
	}
	if left := w.until.Sub(now); left > 0 && left <= w.Settle { // more: the clock was set back
		return w.Raised
	}
	return nil
}
