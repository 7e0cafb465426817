package main

import (
	"database/sql"
	"time"
)

// beside is a connection to a database that a provider uses. One test goroutine uses it.
type beside struct {
	name string
	db   *sql.DB
}

// database opens the provider's database beside it, as somebody who reaches the disk would.
func (w *world) database() *sql.DB {
	w.Helper()
	driver, name := "sqlite", w.file+"?_pragma=busy_timeout(5000)"
	if w.on == shared {
		driver, name = "pgx", w.dsn
	}
	if w.beside.name != name { // a test may have put another file in place
		db, err := sql.Open(driver, name)
		w.must(err)
		w.Cleanup(func() { _ = db.Close() })
		w.beside.name, w.beside.db = name, db
	}
	return w.beside.db
}

// count reads one number.
func (w *world) count(into *int, query string, args ...any) {
	w.Helper()
	w.must(w.database().QueryRowContext(w.Context(), w.bind(query), args...).Scan(into))
}

// exec changes the file.
func (w *world) exec(query string, args ...any) {
	w.Helper()
	_, err := w.database().ExecContext(w.Context(), w.bind(query), args...)
	w.must(err)
}

// later moves the clock so that views are looked at again.
func (w *world) later() { w.clock.Advance(time.Second) }
