// Command faults puts both services under load, breaks what they stand on, and then compares what they answered with what they kept.
//
//	go run ./deploy/faults --minutes 60 --seed 7 --store sqlite
//	go run ./deploy/faults --model --minutes 60
//
// A driver does what people and apps do and writes every answer into a ledger file before it goes on. After each fault an
// oracle opens databases, audit and mailbox and looks for anything that was answered and is missing, happened twice, came back
// after it ended, or belongs to somebody else, for more guesses than are allowed, and for what processes never let go of. One
// such breach ends the run with status 1. Faults are chosen by the seed.
//
// With --model nothing is broken: many clients use the same codes, client assertions, refresh tokens and sessions at the same
// time, and there has to be an order of all that they did in which each of them was good once.
package main
