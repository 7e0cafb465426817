// Package grant owns what a person allowed an app to do: consents, grants, refresh families and their revocation. It never
// makes a token's text and never speaks HTTP.
package grant
