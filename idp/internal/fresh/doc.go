// Package fresh keeps a value in the process that is built from the store, and builds it anew within a bounded time after
// the store's version of it has moved: a command or another replica changed it. It never writes.
package fresh
