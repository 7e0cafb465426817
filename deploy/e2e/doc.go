// Package e2e tests the whole system from outside: the demo runs as a child process, Chromium and a browser without a
// screen use it as people do, and the commands of both services read what they left behind.
//
// One demo serves all tests of a run. Each test signs up people of its own, so that tests run side by side. What needs a
// page to be looked at by eye is left in .artifacts/screenshots.
package e2e
