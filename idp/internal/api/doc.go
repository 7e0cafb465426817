// Package api owns registered APIs (resource servers): an immutable id, the audience that tokens name, the scopes with the
// words that consent shows for them, and the algorithm their tokens are signed with.
package api
