package witness

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// How often a copy outside the database is brought up to date, and how long it may be behind before that is said: what
// happened since is known to nobody where the database is lost, and where both copies stop together nothing else would tell.
const (
	ExportEvery     = time.Second
	ExportLate      = time.Minute
	CheckpointEvery = 30 * time.Second
	CheckpointLate  = 2 * time.Minute

	// LastWords is how long the end of a process waits for its copies.
	LastWords = 5 * time.Second
)

// Outside is a copy of a record outside its database, its export or its checkpoints: what brings it up to date, and since
// when it may lack something. A nil one is not kept, and lacks nothing. It is safe for concurrent use.
type Outside struct {
	what string
	now  func() time.Time
	late time.Duration
	do   func(context.Context) error

	at   atomic.Int64  // when it was last known to have everything, in microseconds
	turn chan struct{} // held by the one that is at it
}

// NewOutside returns a copy that is up to date now. what names it in errors, late is how long it may be behind, do brings it
// up to date.
func NewOutside(what string, now func() time.Time, late time.Duration, do func(context.Context) error) *Outside {
	o := &Outside{what: what, now: now, late: late, do: do, turn: make(chan struct{}, 1)}
	o.at.Store(now().UnixMicro())
	return o
}

// Age is how long ago the copy was last known to have everything.
func (o *Outside) Age() time.Duration {
	if o == nil {
		return 0
	}
	return max(0, o.now().Sub(time.UnixMicro(o.at.Load())))
}

// Behind reports whether that is too long ago.
func (o *Outside) Behind() bool { return o != nil && o.Age() > o.late }

// errStuck is returned while a try hangs: in a file system that does not answer, nothing ends it.
var errStuck = errors.New("it is not done yet")

// Once brings the copy up to date, one try after another. A try that hangs is left behind when ctx ends or it is late, so
// that nobody hangs with it; no other begins before it is over. Errors: those of what brings it up to date; ctx's.
func (o *Outside) Once(ctx context.Context) error {
	if o == nil {
		return nil
	}
	late := time.NewTimer(o.late)
	defer late.Stop()
	select {
	case o.turn <- struct{}{}:
	case <-late.C:
		return o.wrong(errStuck)
	case <-ctx.Done():
		return o.wrong(errors.Join(errStuck, ctx.Err()))
	}
	done := make(chan error, 1)
	go func() { done <- o.try(ctx) }()
	select {
	case err := <-done:
		return o.wrong(err)
	case <-late.C:
		return o.wrong(errStuck)
	case <-ctx.Done():
		return o.wrong(errors.Join(errStuck, ctx.Err()))
	}
}

func (o *Outside) try(ctx context.Context) error {
	defer func() { <-o.turn }()
	began := o.now()
	err := o.do(ctx)
	if err == nil {
		o.at.Store(began.UnixMicro())
	}
	return err
}

func (o *Outside) wrong(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", o.what, err)
}

// Finish brings copies up to date at the end of a process: what was answered last is in them, too. Each is tried beside the
// others for LastWords, whether ctx has ended or not. Errors: of each that was not brought up to date.
func Finish(ctx context.Context, copies ...*Outside) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), LastWords)
	defer cancel()
	errs := make([]error, len(copies))
	var wg sync.WaitGroup
	for i, o := range copies {
		wg.Go(func() { errs[i] = o.Once(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
