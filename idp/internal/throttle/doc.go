// Package throttle owns how often somebody may guess: counters per account, per address and per pair of both, for each
// class of secret on its own.
//
// A guess is reserved before the secret is looked at and given back when it turns out right, so that any number of
// parallel guesses verifies no more secrets than one after another would. It never looks at a secret itself.
package throttle
