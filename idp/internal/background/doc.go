// Package background runs what has to be done now and then beside the requests: sweeping, indexing, key maintenance,
// checkpoints. Every job is harmless when several processes run it at once. It knows no job itself.
package background
