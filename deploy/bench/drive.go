package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// worker does one operation after another.
type worker interface {
	// step does the operation once. errDry ends the worker without a failure.
	step() error
	close()
}

// errDry says that what a worker feeds on is used up.
var errDry = errors.New("used up")

// round is what one round of load measured.
type round struct {
	took   time.Duration
	times  []time.Duration // of each operation that went well
	failed int
	errs   map[string]int // some of the failures, by text
	cpu    usage
	hash   float64 // processor time of a bare hash just before, in microseconds; 0: it matters to nobody
}

const keptErrors = 8

// drive lets all workers work for a time, or until they run dry. An operation that has begun is waited for and counts.
func drive(ctx context.Context, workers []worker, length time.Duration, measure func() usage) round {
	results := make([]round, len(workers))
	var wg sync.WaitGroup
	before, began := measure(), time.Now() //nolint:forbidigo // it measures, and decides nothing
	end := began.Add(length)
	for i, w := range workers {
		wg.Go(func() { results[i].run(ctx, w, end) })
	}
	wg.Wait()
	r := round{took: time.Since(began), errs: map[string]int{}, cpu: measure().since(before)}
	for _, one := range results {
		r.times = append(r.times, one.times...)
		r.failed += one.failed
		for text, n := range one.errs {
			r.errs[text] += n
		}
	}
	slices.Sort(r.times)
	return r
}

func (r *round) run(ctx context.Context, w worker, end time.Time) {
	for now := time.Now(); now.Before(end) && ctx.Err() == nil; { //nolint:forbidigo // it measures, and decides nothing
		err := w.step()
		then := time.Now() //nolint:forbidigo // it measures, and decides nothing
		switch {
		case errors.Is(err, errDry):
			return
		case err != nil:
			r.note(err)
		default:
			r.times = append(r.times, then.Sub(now))
		}
		now = then
	}
}

func (r *round) note(err error) {
	r.failed++
	if r.errs == nil {
		r.errs = map[string]int{}
	}
	if _, known := r.errs[err.Error()]; known || len(r.errs) < keptErrors {
		r.errs[err.Error()]++
	}
}

// rate is operations per second.
func (r *round) rate() float64 { return float64(len(r.times)) / r.took.Seconds() }

// per is some processor time per operation, in microseconds.
func (r *round) per(cpu time.Duration) float64 {
	return float64(cpu.Nanoseconds()) / 1e3 / float64(max(len(r.times), 1))
}

// share is the bare hash as a part of the server's time for one operation; 0 where either was not measured.
func (r *round) share() float64 {
	if own := r.per(r.cpu.server); own > 0 {
		return r.hash / own
	}
	return 0
}

// quantile is the time, in milliseconds, that a share of the operations did not exceed.
func (r *round) quantile(q float64) float64 {
	if len(r.times) == 0 {
		return 0
	}
	at := min(int(q*float64(len(r.times))), len(r.times)-1)
	return float64(r.times[at].Microseconds()) / 1e3
}

// median returns the middle of what f says of each; of an even number, the smaller one.
func median[T any, N cmp.Ordered](all []T, f func(*T) N) N {
	values := make([]N, len(all))
	for i := range all {
		values[i] = f(&all[i])
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
