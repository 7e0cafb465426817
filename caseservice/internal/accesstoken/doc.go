// Package accesstoken turns the issuer's access tokens into callers: RFC 9068 tokens (`typ: at+jwt`) of the one configured
// issuer for this API's audience, and nothing else.
//
// It owns the claim checks and the memory of tokens seen before; keys come from issuer, and whether a token was revoked is
// asked of the feed for each request. It fails closed: without keys, or when nobody can tell of revocations, it never lets
// anybody in. It never decides what a caller may do, and never keeps or logs a token.
package accesstoken
