package sqldb

import (
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/sqldb/pgtest"
)

// begun waits until the transaction has begun.
func begun(tx *Tx) error { _, err := tx.Exec(`SELECT 1`); return err }

// Whoever lost twice against others is tried with nobody beside it: a long batch of another replica gives its rows back job
// by job, and a unit that takes them in another order got between its jobs, lost, and lost again.
func TestCommit_WhoLostTwiceHasNobodyBesideIt(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	replicas := []*DB{open(t, dsn), open(t, dsn)}
	var held atomic.Bool
	lost, ended := make(chan struct{}), make(chan error, 1)
	busy := make(chan struct{})
	go func() {
		ended <- replicas[0].Commit(t.Context(), func(tx *Tx) error {
			report(t, begun(tx))
			held.Store(true)
			defer held.Store(false)
			close(busy)
			<-lost
			time.Sleep(200 * time.Millisecond) // whoever did not wait would be done by now
			return nil
		}, nil)
	}()
	<-busy
	tries := 0
	report(t, replicas[1].Commit(t.Context(), func(tx *Tx) error {
		report(t, begun(tx))
		switch tries++; {
		case tries < 3:
			if !held.Load() {
				t.Error("tried alone before it lost twice")
			}
			if tries == 2 {
				close(lost)
			}
			_, err := tx.Exec(`DO $$ BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = 'deadlock_detected'; END $$`)
			return err
		case held.Load():
			t.Error("another replica's transaction is open beside it")
		}
		return nil
	}, event("alone")))
	if report(t, <-ended); tries != 3 {
		t.Errorf("%d tries", tries)
	}
}

// A row that somebody keeps is no reason to let nobody write anything: whoever waits for it in vain goes on beside others.
func TestCommit_WhoWaitedInVainIsTriedBesideOthers(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	a, b := open(t, dsn), open(t, dsn)
	busy, free, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- a.Commit(t.Context(), func(tx *Tx) error { report(t, begun(tx)); close(busy); <-free; return nil }, nil)
	}()
	<-busy
	tries := 0
	report(t, b.Commit(t.Context(), func(tx *Tx) error {
		if tries++; tries > 3 {
			return nil
		}
		_, err := tx.Exec(`DO $$ BEGIN RAISE EXCEPTION 'kept' USING ERRCODE = 'lock_not_available'; END $$`)
		return err
	}, event("waited")))
	close(free)
	if report(t, <-ended); tries != 4 {
		t.Errorf("%d tries", tries)
	}
}
