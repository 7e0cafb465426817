// Package sqlstore keeps what must last in SQL. It applies units of work (package unit) by the type of their writes, one
// file per owner, and answers the small reader interfaces of the domain packages.
//
// A single writer per process takes units from a bounded queue, applies each under a savepoint of its own, appends their
// audit events to this writer's hash chain, and commits many of them with one fsync. A unit that loses a race is rolled
// back alone. Reads run beside it on a pool of their own.
//
// It never decides anything: conditions stand in the writes, decisions in the packages that make them.
package sqlstore
