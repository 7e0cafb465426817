// Package overload holds black-box tests of the binaries under more than they can serve: connections that say nothing or never
// end, bodies and headers beyond every bound, guesses of passwords, a stampede for the keys, ten times the load. What is
// promised then: every answer is orderly, memory is bounded, and all is well again within seconds.
//
//	go test ./deploy/overload                          # the short form
//	ELLIS_OVERLOAD=10000 go test -v ./deploy/overload  # with so many hostile connections; it tells what it measured
package overload
