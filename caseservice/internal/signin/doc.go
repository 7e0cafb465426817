// Package signin is the portal as a relying party: OpenID Connect with code and PKCE, and the session that follows.
//
// It owns the sign-ins that are under way (attempts, each sealed in a cookie of its browser), the sessions, and the tokens in
// them, which leave the portal for the issuer and the case API alone, and its store only sealed. A session has a new identifier at every
// sign-in, ends after 15 minutes without a page or 12 hours in all, and dies at the server when the person signs out.
// Renewing a token is no sign of life and never keeps a session.
//
// It never shows a page and never decides what somebody may see: the case API does, on every call. Gate is its surface;
// Store is what it asks of a store, and Memory the one that keeps everything in this process.
package signin
