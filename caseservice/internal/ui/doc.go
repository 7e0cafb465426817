// Package ui is how the portal looks and speaks: page structs, their templates, styles and fonts.
//
// A handler fills a page struct (pages.go) and gives it to Renderer.Render; no handler writes HTML. Assets serves
// /assets/<content hash>/<name>: the files in assets/ are produced by deploy/assets/build and committed, those in style/
// are the portal's own.
//
// It never decides anything, reads no request, and imports only leaves. Its pages need no JavaScript and have none, and
// no inline style, so that the policy can forbid both.
//
// # Addresses that the pages link to
//
//	/ /signin?return_to= /cases /cases/{id} /claim /claim/review /claim/send /signout /help /privacy /not-government /language
//
// POST /language takes lang, back (a path of this origin) and csrf_token; POST /signout takes csrf_token. Every other
// form carries csrf_token and posts to Base.Here unless its template says otherwise.
package ui
