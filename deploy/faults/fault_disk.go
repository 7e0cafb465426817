package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
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
		{name: "database's disk full", store: full, deaf: true, recover: resume, happen: fillDatabase},
		{name: "database's log full", store: full, deaf: true, recover: resume, happen: fillDatabaseLog},
	}
}

var errRoom = errors.New("the disk was full, and nothing was refused")

const noticeFull = time.Minute // a log that was begun anew has room of its own for a while, on a slow machine for long

// fillDisk leaves no room on a volume until something was refused that writes, and a little longer.
func fillDisk(of func(*system) *volume, writes func(record) bool) func(context.Context, *run, *dice) error {
	return fillUntil(of, func(ctx context.Context, r *run, from int) bool { return r.refusal(ctx, from, writes) })
}

// fillUntil leaves no room on a volume until that is noticed in what came since a record, and a little longer.
func fillUntil(of func(*system) *volume, noticed func(ctx context.Context, r *run, from int) bool) func(context.Context, *run, *dice) error {
	return func(ctx context.Context, r *run, choice *dice) error {
		v, from := of(r.sys), r.driver.ledger.len()
		if err := v.fill(); err != nil {
			return err
		}
		found := noticed(ctx, r, from)
		pause(choice, 500*time.Millisecond, 1500*time.Millisecond)
		if err := v.free(); err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%w: %s", errRoom, r.told(from))
		}
		return nil
	}
}

// refusal waits for a 503 of what writes.
func (r *run) refusal(ctx context.Context, from int, writes func(record) bool) bool {
	return soon(ctx, func() bool { return r.refused(from, writes) })
}

func (r *run) refused(from int, writes func(record) bool) bool {
	return slices.ContainsFunc(r.driver.ledger.since(from), func(rec record) bool { return writes(rec) && rec.Status == http.StatusServiceUnavailable })
}

// soon waits until something is so, for as long as a full disk may take to be noticed.
func soon(ctx context.Context, so func() bool) bool {
	for end := time.Now().Add(noticeFull); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if so() {
			return true
		}
	}
	return false
}

// told says how often each status was answered since from, by operation.
func (r *run) told(from int) string {
	times := map[string]int{}
	for _, rec := range r.driver.ledger.since(from) {
		times[fmt.Sprint(rec.Op, " ", rec.Status)]++
	}
	return fmt.Sprint(times)
}

// fillDatabase leaves PostgreSQL no room for its tables. Whoever makes room starts it again, if it did not bear that. It may be
// the standby's log that finds none first: nothing is confirmed then, and nothing refused before somebody has waited in vain.
func fillDatabase(ctx context.Context, r *run, choice *dice) error {
	noticed := func(ctx context.Context, r *run, from int) bool {
		return soon(ctx, func() bool { return r.sys.pg.Standby().Ended() || r.refused(from, record.writes) })
	}
	if err := fillUntil(func(s *system) *volume { return s.idpVolume }, noticed)(ctx, r, choice); err != nil {
		return err
	}
	return r.sys.pg.Revive(ctx)
}

var errLog = errors.New("the log of the database had no room, and the database went on")

// fillDatabaseLog leaves PostgreSQL no room for the next piece of its log: it ends, in the midst of whatever it does.
func fillDatabaseLog(ctx context.Context, r *run, choice *dice) error {
	v, pg := r.sys.idpVolume, r.sys.pg
	if _, err := pg.Primary().SQL(ctx, "postgres", "SELECT 1"); err != nil { // a first session needs room for what it keeps
		return err
	}
	if err := v.fill(); err != nil {
		return err
	}
	for end := time.Now().Add(noticeFull); !pg.Primary().Ended(); time.Sleep(10 * time.Millisecond) {
		// A message takes room in the log alone. The one for which there is none is not answered.
		_, said := pg.Primary().SQL(ctx, "postgres", "SELECT pg_logical_emit_message(false, '', repeat('x', 3000000))")
		if time.Now().After(end) || ctx.Err() != nil {
			return errors.Join(errLog, said, v.free())
		}
	}
	pause(choice, 0, time.Second)
	return errors.Join(v.free(), pg.Revive(ctx))
}
