// Package factor owns what a person proves themselves with: passwords, authenticator apps (TOTP) and recovery codes. It
// enrols and verifies them and returns the writes that go with it. It decides neither who may try nor how often (that is
// throttle), and it knows no session.
package factor
