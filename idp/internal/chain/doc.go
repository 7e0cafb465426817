// Package chain is the hash chain under the audit log: each record binds its writer, its place, its predecessor and its
// body. It owns the arithmetic only; storing records and signing heads is done elsewhere.
package chain
