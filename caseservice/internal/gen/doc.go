// Package gen copies the small shared leaves out of the identity provider's module, so that both services have the same
// fault, clock, ident, unit and chain without importing each other; the module of the demo and the tools gets the few that it needs. The originals are edited, then `go generate
// ./internal/gen` is run here; a test compares the copies whenever the other module lies beside this one.
//
// It owns no code that ships.
package gen

//go:generate go run ./copyleaves
