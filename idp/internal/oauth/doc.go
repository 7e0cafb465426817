// Package oauth is the protocol: OAuth 2.0 and OpenID Connect as relying parties and APIs see them. It is the only importer
// of fosite, which parses and validates authorization requests and runs the checks of the code, PKCE and client
// credentials grants. Every byte on the wire, every key and every stored row is ours.
//
// Routes it mounts:
//
//	GET      /.well-known/openid-configuration, /.well-known/oauth-authorization-server, /jwks
//	GET POST /authorize, and GET /authorize?flow=ID where the steps of a sign-in return to
//	POST     /token, /introspect, /revoke, /events/poll
//	GET POST /userinfo
//	GET POST /logout, POST /logout/confirm
//
// It never shows a step of the sign-in (pages do), never decides what a flow needs next (flow.Next does), and never writes
// but through unit.Committer. Every decision, refused ones too, is an audit event in the commit that carries its effect.
package oauth
