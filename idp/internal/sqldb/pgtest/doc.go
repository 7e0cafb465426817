// Package pgtest starts throw-away PostgreSQL servers for tests: a real one, in a temporary folder, on a free port of
// loopback, ended with the tests. A machine without the server's programs fails the test; it is never passed over.
package pgtest
