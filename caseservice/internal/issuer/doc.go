// Package issuer knows the one configured issuer: where its endpoints are (RFC 8414 or OpenID discovery), its public keys
// (JWKS, bounded refresh), and how a JWS of it is read, strictly, and verified.
//
// It says nothing about what a token or an event means. It fails closed: without keys it says that the issuer cannot be
// reached.
package issuer
