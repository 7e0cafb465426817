// Command demo starts everything on this machine for somebody who has only Go: it builds the production binaries, runs
// them on loopback with a mailbox beside them, fills them with two people, four clients and a handful of cases, and says
// where to go and who to be. Ctrl-C ends it all.
//
//	go run ./deploy/demo [--ephemeral] [--data-dir DIR] [--json]
//
// It writes into no database: whatever is there came through the commands that an operator would use. Nothing of it is
// linked into what ships.
package main
