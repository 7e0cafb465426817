// Package sessiontest is the one contract suite that every store of the portal's sessions passes, concurrency included.
package sessiontest
