// Package issuertest is an issuer of access tokens for tests: a real HTTP server with metadata and keys, and a signer that
// also makes the tokens which have to be refused. It is never linked into the service.
package issuertest
