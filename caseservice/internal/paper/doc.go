// Package paper reads and makes what a paper notice carries: the receipt number of a case and the claim code. The API and
// the portal read them in the same way, so that the portal can tell a slip of the pen before it asks.
//
// It knows no case, and keeps nothing.
package paper
