// Package fault is the one error type that crosses package borders: a kind that decides the status, a stable public
// code, a message that is safe to show, and a private cause for the log.
//
// It never renders anything: oauth and web map kinds to their wire formats.
package fault
