// Package sqlstore keeps the case service's data in SQL: SQLite or PostgreSQL, as the data source name says.
//
// It owns the schema (embedded migrations, one folder a database), the statements, and how units of work are applied by the
// type of their writes. Connections and the one writer of a process are sqldb's. Statements use `?` and standard SQL (ON
// CONFLICT, RETURNING, partial indexes), so that both databases run the same ones.
//
// It never decides: a condition that does not hold comes back as *unit.Conflict.
package sqlstore
