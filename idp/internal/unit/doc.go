// Package unit is the unit of work: the only way to write to SQL.
//
// A step reads first, decides, then hands Commit its conditional writes and one audit event. Writes are values of the
// package that owns the data; the store applies them by type. All of a unit becomes durable together or not at all, and
// a condition that does not hold comes back as a *Conflict. Many units share one fsync without knowing of each other.
package unit
