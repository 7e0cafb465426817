// Package storetest is the contract that every store of the case service passes, concurrency included. Its functions say
// what callers may rely on; a store has no other documentation of its conditions.
package storetest
