// Package traces holds the test of traces over the real binaries: a collector of its own takes what portal, case API and
// identity provider send, and sees one trace in it that says nothing about anybody.
package traces
