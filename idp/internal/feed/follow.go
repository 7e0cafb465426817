package feed

import (
	"context"
	"sync"
	"time"

	"ellis.example/idp/internal/clock"
)

// Limits of following.
const (
	// Hold is how long a poll waits for something to happen. Its empty answer says that nothing did.
	Hold = 2 * time.Second
	// Look is how often a process looks for what other replicas and commands committed, while somebody waits.
	Look = 150 * time.Millisecond
	// MaxEvents is how many events one answer has at most.
	MaxEvents = 100
	// MaxWaiting is how many polls may wait, unless something else is said.
	MaxWaiting = 256

	defaultPerAPI = 32
	lookPatience  = 2 * time.Second
)

// Options say how to follow. Zero values mean the defaults.
type Options struct {
	Clock   clock.Clock
	PerAPI  int             // polls of one API that may wait: 32
	Total   int             // of all, beyond the first of each API: 256
	Closing <-chan struct{} // when it closes, nobody waits any more
}

// Feed lets APIs follow their lines. It is safe for concurrent use.
type Feed struct {
	src Reader
	opt Options

	mu      sync.Mutex
	waiting map[*waiter]struct{}
	perAPI  map[string]int
	turns   map[string]*turns
	looking bool
	poke    chan struct{}
}

// waiter is a poll that waits.
type waiter struct {
	api   string
	line  string
	after int64
	came  time.Time
	more  chan struct{} // holds one: there may be more
	waits func(bool)
}

// New returns a feed of what a store keeps.
func New(src Reader, opt Options) *Feed {
	if opt.PerAPI <= 0 {
		opt.PerAPI = defaultPerAPI
	}
	if opt.Total <= 0 {
		opt.Total = MaxWaiting
	}
	return &Feed{src: src, opt: opt, waiting: map[*waiter]struct{}{}, perAPI: map[string]int{}, turns: map[string]*turns{}, poke: make(chan struct{}, 1)}
}

// Ask is what a follower asks for.
type Ask struct {
	API  string // id
	From string // cursor of an earlier answer; empty: everything that can still matter
	Max  int    // events, at most MaxEvents
	Wait bool   // for Hold, where there is nothing yet
	// Waits is told when the follower begins to do nothing but wait, and when that is over; nil: nobody is told.
	Waits func(bool)
}

// Page is a piece of a line.
type Page struct {
	Line   string
	Events []Event
	More   bool
	Cursor string        // where to go on
	Held   time.Duration // between the beginning of Follow and that of the read that this is from
}

// Follow answers with what comes after a place in an API's line. Where there is nothing yet it waits, until there is, Hold has
// passed, this process is about to end or ctx ends: only the last is an error. Errors: ErrCursor, ErrCrowded, ErrFull; those
// of the store.
func (f *Feed) Follow(ctx context.Context, a Ask) (Page, error) {
	came := f.opt.Clock.Now()
	line, err := f.src.FeedLine(ctx, a.API, f.opt.Clock.Now().Add(-Matters))
	if err != nil {
		return Page{}, err
	}
	after, err := begin(line, a)
	if err != nil {
		return Page{}, err
	}
	w := &waiter{api: a.API, line: line.Name, after: after, came: came, more: make(chan struct{}, 1), waits: a.Waits}
	if w.waits == nil {
		w.waits = func(bool) {}
	}
	if !a.Wait || line.Last > after {
		return f.read(ctx, w, a.Max)
	}
	if err := f.enter(w); err != nil {
		return Page{}, err
	}
	defer f.leave(w)
	return f.wait(ctx, w, a.Max)
}

// begin finds the place that a follower goes on from.
func begin(l Line, a Ask) (int64, error) {
	if a.From == "" {
		if l.Since > 0 {
			return l.Since - 1, nil
		}
		return l.Last, nil
	}
	after, ok := place(l.Name, a.API, a.From)
	oldest := l.Last
	if l.First > 0 {
		oldest = l.First - 1
	}
	if !ok || after > l.Last || after < oldest {
		return 0, ErrCursor
	}
	return after, nil
}

// read returns what there is now.
func (f *Feed) read(ctx context.Context, w *waiter, most int) (Page, error) {
	p := Page{Line: w.line, Cursor: cursor(w.line, w.api, w.after), Held: max(0, f.opt.Clock.Now().Sub(w.came))}
	if most <= 0 {
		return p, nil
	}
	most = min(most, MaxEvents)
	events, err := f.src.FeedEvents(ctx, w.api, w.after, most+1)
	if err != nil || len(events) == 0 {
		return p, err
	}
	if len(events) > most {
		p.More, events = true, events[:most]
	}
	p.Events, p.Cursor = events, cursor(w.line, w.api, events[len(events)-1].Seq)
	return p, nil
}

// wait reads whenever there may be more.
func (f *Feed) wait(ctx context.Context, w *waiter, most int) (Page, error) {
	hold := time.NewTimer(Hold)
	defer hold.Stop()
	for {
		p, err := f.read(ctx, w, most)
		if err != nil || len(p.Events) > 0 || most <= 0 {
			return p, err
		}
		if again := f.pause(ctx, w, hold.C); !again {
			if err := ctx.Err(); err != nil {
				return Page{}, err
			}
			return f.read(ctx, w, most) // nothing is said to have happened by who cannot know
		}
	}
}

// pause waits until there may be more, and reports whether it may be waited again after that.
func (f *Feed) pause(ctx context.Context, w *waiter, hold <-chan time.Time) bool {
	w.waits(true)
	defer w.waits(false)
	select {
	case <-w.more:
		return true
	case <-hold:
	case <-f.opt.Closing:
	case <-ctx.Done():
	}
	return false
}

// enter counts a poll that is going to wait, and sees that somebody looks.
func (f *Feed) enter(w *waiter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case len(f.waiting) >= f.opt.Total && f.perAPI[w.api] > 0: // the first of each API always finds room: others cannot keep it out
		return ErrFull
	case f.perAPI[w.api] >= f.opt.PerAPI:
		return ErrCrowded
	}
	f.waiting[w] = struct{}{}
	f.perAPI[w.api]++
	if !f.looking {
		f.looking = true
		go f.look()
	}
	return nil
}

func (f *Feed) leave(w *waiter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.waiting, w)
	if f.perAPI[w.api]--; f.perAPI[w.api] == 0 {
		delete(f.perAPI, w.api)
	}
}

// Waiting is how many polls wait.
func (f *Feed) Waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.waiting)
}

// Wake says that this process committed events: whoever waits for them need not wait for the next look.
func (f *Feed) Wake() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// look is the one reader of a process: it looks how far the lines go while anybody waits, and ends with the last of them.
func (f *Feed) look() {
	tick := time.NewTicker(Look)
	defer tick.Stop()
	for {
		select {
		case <-f.poke:
		case <-tick.C:
		}
		if f.idle() {
			return
		}
		ctx, done := context.WithTimeout(context.Background(), lookPatience)
		heads, err := f.src.FeedHeads(ctx)
		done()
		if err == nil { // else those who wait hear nothing, and their next poll says why
			f.tell(heads)
		}
	}
}

// idle reports whether nobody waits, and lets the next who does begin to look anew.
func (f *Feed) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 {
		f.looking = false
	}
	return !f.looking
}

// tell wakes those for whom there is more.
func (f *Feed) tell(h Heads) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.waiting {
		if h.Last[w.api] > w.after || h.Name != w.line {
			select {
			case w.more <- struct{}{}:
			default:
			}
		}
	}
}
