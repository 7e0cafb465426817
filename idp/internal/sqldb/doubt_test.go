package sqldb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"ellis.example/idp/internal/sqldb/pgtest"
)

// A server whose standby is away keeps what it never confirmed. Whoever asked is told that it is not known; nobody writes it
// again, and nobody waits for it once more.
func TestCommit_WhatMayHaveBeenWrittenIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Start("synchronous_standby_names=nobody", "synchronous_commit=local")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { report(t, server.Stop()) })
	db := open(t, server.DSN("postgres"))
	db.d.patience = time.Second
	const n = 8
	queued, free := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		report(t, db.Commit(t.Context(), func(*Tx) error { close(queued); <-free; return nil }, event("before")))
	})
	<-queued
	began := time.Now()
	for i := range n { // all in one batch
		all.Go(func() {
			err := db.Commit(t.Context(), func(tx *Tx) error {
				_, err := tx.Exec(`SET LOCAL synchronous_commit = on`)
				return err
			}, event(fmt.Sprint("unconfirmed ", i)))
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	for len(db.w.queue) < n {
		time.Sleep(time.Millisecond)
	}
	close(free)
	if all.Wait(); time.Since(began) > 4*time.Second {
		t.Errorf("they waited for %s", time.Since(began))
	}
	report(t, db.Commit(t.Context(), nil, event("after")))
	rows, events := 0, 0
	err = db.Row(t.Context(), `SELECT count(*), count(DISTINCT body) FROM events`).Scan(&rows, &events)
	if err != nil || rows != n+2 || events != n+2 {
		t.Errorf("%d rows of %d events, %v", rows, events, err)
	}
}

func TestPostgresSettled_IsTheWordOfAServerThatStays(t *testing.T) {
	t.Parallel()
	for e, want := range map[pgconn.PgError]bool{
		{Severity: "ERROR", Code: "40001"}: true, {Severity: "ERROR", Code: "23505"}: true, {Severity: "ERROR", Code: "40003"}: false,
		{Severity: "ERROR", Code: "08P01"}: false, {Severity: "FATAL", Code: "57P01"}: false, {Severity: "FATAL", Code: "XX000"}: false, {Severity: "ERROR", Code: "57P02"}: false,
		{Severity: "PANIC", Code: "53100"}: false,
	} {
		if got := postgresSettled(fmt.Errorf("commit: %w", &e)); got != want {
			t.Errorf("%s %s: %v", e.Severity, e.Code, got)
		}
	}
	if postgresSettled(context.DeadlineExceeded) {
		t.Error("nobody said anything")
	}
}
