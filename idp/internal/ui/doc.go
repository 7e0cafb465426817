// Package ui is how the provider looks and speaks: page structs, their templates, styles, fonts and mails.
//
// A handler fills a page struct (pages_*.go) and gives it to Renderer.Render; no handler writes HTML. Mails go the same
// way through Renderer.Mail. Assets serves /assets/<content hash>/<name>; the files in assets/ are produced by
// deploy/assets/build and committed.
//
// It never decides anything, reads no request, and imports only leaves. Its pages need no JavaScript: SubmitScript is
// a convenience for FormPost alone. No page has an inline style or script, so that the policy can forbid both.
//
// # Addresses that the pages link to
//
//	/signup /signin /signout /account /account/profile /account/password /account/factors /account/factors/enrol
//	/account/factors/remove?id= /account/recovery-codes /account/sessions /account/sessions/end /account/apps
//	/account/apps/withdraw /account/activity /help /privacy /not-government /language
//
// POST /language takes lang, back (a path of this origin) and csrf_token. Every other form carries csrf_token and posts
// to Base.Here unless its struct says otherwise.
package ui
