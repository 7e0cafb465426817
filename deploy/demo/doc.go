// Command demo starts everything on this machine for somebody who has only Go: it builds the production binaries, runs
// them on loopback with a mailbox beside them, fills them with two people, four clients and a handful of cases, and says
// where to go and who to be. Ctrl-C ends it all.
//
//	go run ./deploy/demo [--ephemeral] [--data-dir DIR] [--json]
//	go run ./deploy/demo --postgres postgres://USER@HOST/NAME --redis redis://HOST:PORT --replicas 2
//
// The second form is the shape of production: so many of each service behind a load balancer, without sticky sessions. A
// replica that dies is told of and missed by nobody; the demo ends when none of its kind is left.
//
// It makes databases and writes into none: whatever is there came through the commands that an operator would use. Nothing
// of it is linked into what ships.
package main
