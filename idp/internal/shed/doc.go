// Package shed turns away what is beyond what a process can work on, so that a crowd waits for nothing, what is under way is
// finished, and memory is bounded whoever sends: requests beyond the places for them, connections beyond the room for them,
// and bytes of requests that do not end. Which requests count, and how one that is turned away is answered, its user says.
//
// Room is made at the cost of whoever keeps the process waiting, the longest first: idle connections, requests that arrive
// slowly, answers that nobody takes. Connections on which nothing was ever answered go first while they are more than half. A
// request that has a place is never dropped.
package shed
