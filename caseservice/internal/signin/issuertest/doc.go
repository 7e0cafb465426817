// Package issuertest is an OpenID provider for tests of the portal: a real HTTP server that checks what it is sent as
// strictly as a good one does, and that can be told to answer wrongly. It is never linked into the service.
//
// It asks nobody anything: whoever arrives is the Person that the test set.
package issuertest
