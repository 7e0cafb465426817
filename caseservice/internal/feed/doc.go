// Package feed knows which access tokens the issuer has revoked before their end.
//
// A follower asks the issuer for its signed security events (RFC 8417) by long poll (RFC 8936) all the time and keeps what
// they void for as long as a token that they void could be alive. Each request asks Check, whatever else is remembered of
// its token. While the follower has heard nothing for longer than the patience, Check asks the issuer about the very token
// (RFC 7662) instead, and where that fails too nobody is let in.
//
// It forgets nothing that still matters: where there is no room left, or an event is not understood, it does without the
// feed until every token issued before has ended.
package feed
