// Package accesstoken turns the issuer's access tokens into callers: RFC 9068 tokens (`typ: at+jwt`) of the one configured
// issuer for this API's audience, and nothing else.
//
// It owns strict parsing, the claim checks, the issuer's keys (RFC 8414 or OpenID discovery, JWKS, bounded refresh) and the
// memory of tokens seen before. It fails closed: without keys it says that the issuer cannot be reached, it never lets
// anybody in. It never decides what a caller may do, and never keeps or logs a token.
package accesstoken
