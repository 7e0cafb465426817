package main

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// resume is how soon service goes on by itself when there is room again.
const resume = 5 * time.Second

// diskFaults are those of a data folder that has no room left.
func diskFaults() []fault {
	return []fault{
		{name: "provider's disk full", store: disk, deaf: true, recover: resume, happen: fillDisk(func(s *system) *volume { return s.idpVolume }, record.writes)},
		{name: "case service's disk full", store: disk, recover: resume, proof: opCase, happen: fillDisk(func(s *system) *volume { return s.caseVolume },
			func(r record) bool { return r.Op == opCase })},
	}
}

var errRoom = errors.New("the disk was full, and nothing was refused")

const noticeFull = time.Minute // a log that was begun anew has room of its own for a while, on a slow machine for long

// fillDisk leaves no room on a volume until something was refused that writes, and a little longer.
func fillDisk(of func(*system) *volume, writes func(record) bool) func(context.Context, *run, *dice) error {
	return func(ctx context.Context, r *run, choice *dice) error {
		v, from := of(r.sys), r.driver.ledger.len()
		if err := v.fill(); err != nil {
			return err
		}
		refused := r.refusal(ctx, from, writes)
		pause(choice, 500*time.Millisecond, 1500*time.Millisecond)
		if err := v.free(); err != nil {
			return err
		}
		if !refused {
			return errRoom
		}
		return nil
	}
}

// refusal waits for a 503 of what writes.
func (r *run) refusal(ctx context.Context, from int, writes func(record) bool) bool {
	for end := time.Now().Add(noticeFull); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		for _, rec := range r.driver.ledger.since(from) {
			if writes(rec) && rec.Status == http.StatusServiceUnavailable {
				return true
			}
		}
	}
	return false
}
