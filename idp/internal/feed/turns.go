package feed

import (
	"context"
	"runtime"
)

// turns are those in which the answers to one API are made.
type turns struct {
	came int           // polls that have one or wait for it
	free chan struct{} // holds one for each that is taken
}

// Turn waits until it is an API's turn to be answered, and returns what ends it. Signing its events is the work of processors: one
// API's servers take no more than half of them, however many poll at once. waits is told when the turn has to be waited for, and
// when that is over. Errors: ErrCrowded; that of ctx.
func (f *Feed) Turn(ctx context.Context, api string, waits func(bool)) (done func(), err error) {
	t, err := f.queue(api)
	if err != nil {
		return nil, err
	}
	done = func() {
		<-t.free
		f.quit(api)
	}
	select {
	case t.free <- struct{}{}:
		return done, nil
	default:
	}
	waits(true)
	defer waits(false)
	select {
	case t.free <- struct{}{}:
		return done, nil
	case <-ctx.Done():
		f.quit(api)
		return nil, ctx.Err()
	}
}

// queue counts one who is going to wait for a turn. There are never more than may wait for events, who come all at once.
func (f *Feed) queue(api string) (*turns, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.turns[api]
	if t == nil {
		t = &turns{free: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
		f.turns[api] = t
	}
	if t.came >= f.opt.PerAPI {
		return nil, ErrCrowded
	}
	t.came++
	return t, nil
}

func (f *Feed) quit(api string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.turns[api].came--; f.turns[api].came == 0 {
		delete(f.turns, api)
	}
}
