// Package audit owns the record of what was decided: its events and their texts. The chains that they stand in,
// signed checkpoints over them and their verification are package witness's.
//
// It never decides anything and never reads the data it speaks of. An event is committed together with its effect
// (package unit), so that neither exists without the other. Package audit/trace reads lineage out of events.
package audit
