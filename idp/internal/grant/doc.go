// Package grant owns what a person allowed an app to do: consents, grants, refresh families and their revocation. It never
// makes a token's text (it seals that of a successor, to be told again to whoever holds the old one) and never speaks HTTP.
package grant
