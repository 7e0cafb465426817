// Package storetest is the one contract suite that every store passes, concurrency included. One file per owner
// of data; each suite takes a function that opens a fresh, empty store.
package storetest
