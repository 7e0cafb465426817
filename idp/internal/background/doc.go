// Package background runs what has to be done now and then beside the requests: sweeping, indexing, key maintenance,
// checkpoints. It knows no job itself. What only one of several processes should do runs under a lease, and learns from the
// conflict of a write that another process has it now.
package background
