// Command bench measures the two services as they are released: it builds them, fills a database by their own commands, and drives
// one operation after another over loopback in a closed loop.
//
// What it goes by is processor time per request, as a multiple of yardsticks that the same run takes: rates and latencies
// depend on the machine and on whoever shares it. Where the system lets it, a server has a core of its own, and the load,
// PostgreSQL and Redis have the others.
//
// An answer that is not the one that was asked for counts as an error, and one error fails the run. It changes nothing outside
// a temporary folder.
package main
