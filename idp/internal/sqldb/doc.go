// Package sqldb is one database and its one writer: SQLite through a driver without cgo, or PostgreSQL through pgx.
//
// It owns connections, the dialect, migrations, and the group commit: one goroutine of a process takes what many requests
// want to write, applies each piece behind a savepoint of its own, appends its event to this writer's hash chain, and
// makes all of it durable with one fsync. An answer is never in doubt on the harmless side only: who is told of a failure
// had no effect, unless the connection died during COMMIT, which no protocol can tell apart.
//
// Statements are written once, with `?` or `?N` for arguments, in the SQL that both databases read (ON CONFLICT, RETURNING,
// partial indexes). Locking clauses (`FOR UPDATE`, `FOR SHARE`) are for PostgreSQL, where several writers work at once;
// SQLite, which has one at a time, is not shown them.
//
// PostgreSQL is at the other end of a wire, and each trip there costs both sides more than most statements. So a batch is sent in
// two: its statements together, as if every condition held, and COMMIT when all answers were seen. Where one does not hold it is
// undone, and each job is sent by itself behind a savepoint.
//
// It knows no table but goose's.
package sqldb
