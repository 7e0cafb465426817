// Command faults puts both services under load, breaks what they stand on, and then compares what they answered with what they kept.
//
//	go run ./deploy/faults --minutes 60 --seed 7 --store sqlite
//
// A driver does what people and apps do and writes every answer into a ledger file before it goes on. After each fault an
// oracle opens databases and audit and looks for anything that was answered and is missing, happened twice, came back after it
// was revoked, or belongs to somebody else. One such breach ends the run with status 1. Faults are chosen by the seed.
package main
