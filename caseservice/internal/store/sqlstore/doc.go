// Package sqlstore keeps the case service's data in SQL: SQLite through a driver without cgo.
//
// It owns the schema (embedded migrations), the statements, and the one writer of a process, which applies units of work by
// the type of their writes and commits many of them together, each behind its own savepoint. Statements use `?` and
// standard SQL (ON CONFLICT, RETURNING, partial indexes), so that another database needs its own migrations and a
// rebinding of placeholders, nothing more.
//
// It never decides: a condition that does not hold comes back as *unit.Conflict.
package sqlstore
