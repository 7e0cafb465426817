// Package agent is a browser without a screen for black-box tests: it keeps cookies, follows redirects, reads the forms
// and links of a page and submits them. It runs no script, so whatever it can do works without JavaScript. Beside it are the
// requests of programs, which have neither cookies nor pages.
package agent
