package sqldb

import (
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/sqldb/pgtest"
)

// Whoever lost twice against others is tried with nobody beside it: a long batch of another replica gives its rows back job
// by job, and a unit that takes them in another order got between its jobs, lost, and lost again.
func TestCommit_WhoLostTwiceHasNobodyBesideIt(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	var replicas []*DB
	for range 2 {
		db, err := Open(t.Context(), dsn, Options{Migrations: migrations, Chain: events{}, Guard: func(tx *Tx) error { return tx.SerializeShared(Line) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		if _, err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		replicas = append(replicas, db)
	}
	var open atomic.Bool
	lost, ended := make(chan struct{}), make(chan error, 1)
	busy := make(chan struct{})
	go func() {
		ended <- replicas[0].Commit(t.Context(), func(*Tx) error {
			open.Store(true)
			defer open.Store(false)
			close(busy)
			<-lost
			time.Sleep(200 * time.Millisecond) // whoever did not wait would be done by now
			return nil
		}, nil)
	}()
	<-busy
	tries := 0
	report(t, replicas[1].Commit(t.Context(), func(tx *Tx) error {
		switch tries++; {
		case tries < 3:
			if !open.Load() {
				t.Error("tried alone before it lost twice")
			}
			if tries == 2 {
				close(lost)
			}
			_, err := tx.Exec(`DO $$ BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = 'deadlock_detected'; END $$`)
			return err
		case open.Load():
			t.Error("another replica's transaction is open beside it")
		}
		return nil
	}, event("alone")))
	if report(t, <-ended); tries != 3 {
		t.Errorf("%d tries", tries)
	}
}
