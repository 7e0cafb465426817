package ui

import (
	"time"

	"ellis.example/idp/internal/i18n"
)

// Page is something that Render can show: a struct that embeds Base and names its template.
type Page interface {
	// Template is the name of the page's file in templates/, without its ending.
	Template() string
	base() Base
}

// Base is the part that all pages have in common.
type Base struct {
	// CSRF goes into every form as the hidden field "csrf_token".
	CSRF string
	// LanguageCSRF goes into the form of the language switch in place of CSRF: a token is good for one purpose only.
	LanguageCSRF string
	// LanguageBack is where the language switch returns to; empty: to Here.
	LanguageBack string
	// Here is this page's own path and query: where its main form posts to, and where the language switch returns to.
	// Empty: the page has no form, and no language switch is shown.
	Here string
	// Notice, if set, says on top of the page that something was done.
	Notice Notice
	// Errors stand in a summary on top, and each beside its field.
	Errors []FieldError
	// SignedIn shows the account menu; nil: nobody is signed in.
	SignedIn *SignedIn
}

func (b Base) base() Base { return b }

// SignedIn is whose account it is.
type SignedIn struct {
	Name string
}

// Text is a message of the catalogue: a key and the values for its places, as name, value, name, value.
type Text struct {
	Key  i18n.Key
	Args []any
}

// Notice is a success message.
type Notice = Text

// FieldError says what to change in a field. Field is the name of the form field, empty for the form as a whole.
type FieldError struct {
	Field string
	Text
}

// Wrong makes a FieldError: Wrong("email", ErrEmailFormat) or Wrong("password", ErrPasswordShort, "Min", 15).
func Wrong(field string, key i18n.Key, args ...any) FieldError {
	return FieldError{Field: field, Text: Text{key, args}}
}

// Say makes a Text, for notices.
func Say(key i18n.Key, args ...any) Text { return Text{key, args} }

// App is a relying party as people see it.
type App struct {
	Name string // client_name
	Host string // where answers go: host of the redirect URI; shown so that a copied name is noticed
}

// Throttle says that it is too early to try again.
type Throttle struct {
	Wait time.Duration // rounded up to whole seconds or minutes when shown
}

// Hidden is a hidden form field.
type Hidden struct {
	Name, Value string
}

// ScopeGroup is what an app may do at one API, in plain words.
type ScopeGroup struct {
	API    string       // name of the API in the page's language; empty: the account itself
	Scopes []ScopeWords //
}

// ScopeWords is one permission.
type ScopeWords struct {
	Name  string // the scope, e.g. "cases:read"
	Words string // what it opens, in the page's language; empty: the catalogue knows it (openid, profile, email, offline_access)
}
