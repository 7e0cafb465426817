package main

import (
	"database/sql"
	"time"
)

// database opens the provider's file beside it, as somebody who reaches the disk would.
func (w *world) database() *sql.DB {
	w.Helper()
	db, err := sql.Open("sqlite", w.file+"?_pragma=busy_timeout(5000)")
	w.must(err)
	w.Cleanup(func() { _ = db.Close() })
	return db
}

// count reads one number.
func (w *world) count(into *int, query string, args ...any) {
	w.Helper()
	w.must(w.database().QueryRowContext(w.Context(), query, args...).Scan(into))
}

// exec changes the file.
func (w *world) exec(query string, args ...any) {
	w.Helper()
	_, err := w.database().ExecContext(w.Context(), query, args...)
	w.must(err)
}

// later moves the clock so that views are looked at again.
func (w *world) later() { w.clock.Advance(time.Second) }
