// Package balance is a small load balancer for HTTP on loopback: what stands before replicas in the demo and in tests.
//
// It asks every backend's /readyz a few times a second, and what fails on the way to one counts as well. A backend that is
// gone, stopped or draining gets no more requests within a second; one that comes is used with its first good answer.
// Requests go round, without sticky sessions. One that certainly reached no backend is tried at another, and so is a safe one
// (RFC 9110 §9.2.1) that got no answer; any other is answered 502, because it may have had its effect. Bodies stream both
// ways.
package balance
