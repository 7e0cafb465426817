// Package feed knows which access tokens the issuer has revoked before their end.
//
// A follower asks the issuer for its signed security events (RFC 8417) by long poll (RFC 8936) all the time and keeps what
// they void for as long as a token that they void could be alive. Each request asks Check, whatever else is remembered of
// its token. While the follower has heard nothing for longer than the patience, Check asks the issuer about the very token
// (RFC 7662) instead, and where that fails too nobody is let in.
//
// How old the view is counts from when a poll was sent, less how long the issuer says that it held it: an answer that was
// long on its way is old.
//
// It forgets nothing that still matters. Where there is no room left, or an event is not understood, it does without the feed
// until every token issued before has ended. An event that cannot be read or verified makes the answer count as none, beside
// what is good in it; after a few seconds it is treated as one that is not understood, so that a single one does not take the
// feed away for as long as the issuer keeps it.
package feed
