// Package keyring owns the provider's keys: the pairs that tokens are signed with and the long-lived secrets that subjects,
// cookies and counters are derived from.
//
// A pair goes next → active → retiring → retired. It is published at least one cache lifetime before it first signs, and
// stays published until nothing that it signed is valid any more. Private parts are sealed at rest and deleted when their
// pair stops being published; an emergency rotation discards a pair at once.
//
// It never speaks HTTP, never decides what a token says, and never hands out a private key.
package keyring
