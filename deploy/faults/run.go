package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// run is a system under load, fault after fault.
type run struct {
	sys    *system
	driver *driver
	path   string // of the ledger
	seed   int
	done   int // rounds
	deaf   []span
}

func newRun(s *system, seed int) (*run, error) {
	r := &run{sys: s, seed: seed, path: filepath.Join(s.cfg.Dir, "ledger.jsonl")}
	l, err := openLedger(r.path)
	if err != nil {
		return nil, err
	}
	r.driver = &driver{sys: s, ledger: l}
	return r, nil
}

// report is what one fault did.
type report struct {
	fault             string
	answered, refused int // of the requests of the round
	unanswered        int
	recovered         time.Duration
	breaches          []breach
}

const warm = 300 * time.Millisecond

// round puts load on the system, lets f happen, waits until requests go well again, and asks the oracle.
func (r *run) round(ctx context.Context, f fault) (rep report, err error) {
	r.done++
	choice := dice(r.seed + r.done)
	from := r.driver.ledger.len()
	loaded, stop := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() { r.driver.load(loaded, r.seed+r.done); close(over) }()
	pause(&choice, warm, 3*warm)
	began := time.Now()
	err = f.happen(ctx, r.sys, &choice)
	mended := time.Now()
	if err == nil {
		rep.recovered, err = r.success(ctx, mended, f.recover+10*time.Second)
	}
	if f.deaf {
		r.deaf = append(r.deaf, span{began, time.Now().Add(reach)})
	}
	pause(&choice, warm, 2*warm)
	stop()
	<-over
	if err = errors.Join(err, r.driver.broken); err != nil {
		return rep, fmt.Errorf("%s: %w", f.name, err)
	}
	rep.fault = f.name
	for _, rec := range r.driver.ledger.since(from) {
		switch {
		case rec.answered():
			rep.answered++
		case rec.Status != 0:
			rep.refused++
		default:
			rep.unanswered++
		}
	}
	rep.breaches, err = r.ask(ctx)
	if rep.recovered > f.recover {
		rep.breaches = append(rep.breaches, breach{"L9", 0, fmt.Sprintf("the first success came %s after the end of the fault, %s is allowed", rep.recovered, f.recover)})
	}
	if rep.answered == 0 {
		rep.breaches = append(rep.breaches, breach{"L9", 0, "nothing was answered in the whole round"})
	}
	return rep, err
}

// success waits for the first write that went well and began after a time, and returns how long after.
func (r *run) success(ctx context.Context, after time.Time, patience time.Duration) (time.Duration, error) {
	from := max(0, r.driver.ledger.len()-people)
	for time.Since(after) < patience {
		for _, rec := range r.driver.ledger.since(from) {
			if rec.answered() && rec.Began.After(after) && (rec.Op == opRedeem || rec.Op == opRefresh || rec.Op == opMachine) {
				return rec.Ended.Sub(after), nil
			}
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return patience, nil
}
