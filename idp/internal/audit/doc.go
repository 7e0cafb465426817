// Package audit owns the record of what was decided: its events, the chains they stand in, signed checkpoints over the
// heads of all chains, and the verification of all of it.
//
// It never decides anything and never reads the data it speaks of. An event is committed together with its effect
// (package unit), so that neither exists without the other. Package audit/trace reads lineage out of events.
package audit
