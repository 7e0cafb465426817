// Package feed is the line of security events that each API follows, so that what was revoked here is refused there at once:
// what an event says, where in the line a follower is, and how followers wait for more (RFC 8936).
//
// Events are rows. Stores add them in the commit that ends a session, a grant, a token, an account or a key, so that nothing
// dies without its event, and number them for each API without a gap and in the order of the commits, on all replicas
// together. An API sees its own line alone: it hears of a person only where it may hold a token of theirs, by the identifiers
// of its own tokens, and neither numbers nor names in its line mean anything in another's.
//
// The package never signs, never speaks HTTP, and never decides who may follow.
package feed
