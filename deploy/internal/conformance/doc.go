// Command conformance keeps docs/conformance.md true: it reads the catalogue of attacks and clauses (catalogue.tsv), finds
// the tests in the source that name each one, and writes the table. With --check it fails when the table is out of date,
// when an entry has neither a test nor a stated reason, or when a test names an entry that does not exist.
//
//	go run ./deploy/internal/conformance [--check]
package main
