package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
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
	leaked []span // when keys were discarded, as after a leak
	// broke is when the fault of this round broke what heals by itself. It is zero where somebody has to mend it.
	broke time.Time
	found []breach // by the fault itself, in this round
}

func newRun(s *system, seed int) (*run, error) {
	r := &run{sys: s, seed: seed, path: filepath.Join(s.cfg.Dir, "ledger.jsonl")}
	l, err := openLedger(r.path)
	if err != nil {
		return nil, err
	}
	r.driver, err = newDriver(s, l)
	return r, err
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
	r.broke, r.found = time.Time{}, nil
	err = f.happen(ctx, r, &choice)
	if r.broke.IsZero() { // somebody mended it, just now
		r.broke = time.Now()
	}
	if err == nil {
		rep.recovered, err = r.success(ctx, f, from)
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
	records := r.driver.ledger.since(from)
	rep.count(records)
	rep.breaches, err = r.ask(ctx)
	rep.breaches = slices.Concat(rep.breaches, r.found, f.promises(rep, records, r.broke))
	return rep, err
}

func (rep *report) count(records []record) {
	for _, rec := range records {
		switch {
		case rec.answered():
			rep.answered++
		case rec.Status != 0:
			rep.refused++
		default:
			rep.unanswered++
		}
	}
}

// promises compares a round with what is promised of the fault (L9).
func (f fault) promises(rep report, records []record, broke time.Time) (out []breach) {
	if rep.recovered > f.recover {
		out = append(out, breach{"L9", 0, fmt.Sprintf("the first success came after %s, %s are allowed", rep.recovered, f.recover)})
	}
	if rep.answered == 0 {
		out = append(out, breach{"L9", 0, "nothing was answered in the whole round"})
	}
	if f.spared == 0 {
		return out
	}
	for _, rec := range records {
		if late := rec.Began.Sub(broke); late >= f.spared && (rec.Status == 0 || rec.Status >= http.StatusInternalServerError) {
			out = append(out, breach{"L9", rec.N, fmt.Sprintf("%s began %s after it broke and failed: %d %s", rec.Op, late, rec.Status, rec.Err)})
		}
	}
	return out
}

// success waits for the first write that went well and began after something broke, and returns how long after. from is where
// the round begins in the ledger.
func (r *run) success(ctx context.Context, f fault, from int) (time.Duration, error) {
	for end := time.Now().Add(f.recover + 10*time.Second); ; {
		for _, rec := range r.driver.ledger.since(from) {
			if rec.answered() && rec.Err == "" && rec.Began.After(r.broke) && f.proves(rec.Op) {
				return rec.Ended.Sub(r.broke), nil
			}
		}
		if time.Now().After(end) {
			return time.Since(r.broke), nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// proves reports whether what went well shows that the fault is over.
func (f fault) proves(op string) bool {
	if f.proof != "" {
		return op == f.proof
	}
	return record{Op: op}.writes()
}
