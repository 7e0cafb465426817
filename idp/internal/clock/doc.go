// Package clock is the only source of time for decisions. It is injected everywhere, so that tests move time and a step
// of the system clock can be reproduced.
package clock
