// Command caseservice serves the status of immigration cases: the JSON API (serve), the web pages (portal), and the
// commands of an operator (migrate, case, ledger, config, healthcheck).
//
// It parses, wires and runs; it decides nothing. Exit status: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration.
package main
