// Package freeport finds ports for servers that run on this machine for a while: those that tests start, and the demo's.
package freeport
