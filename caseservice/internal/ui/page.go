package ui

import "ellis.example/caseservice/internal/i18n"

// Page is something that Render can show: a struct that embeds Base and names its template.
type Page interface {
	// Template is the name of the page's file in templates/pages, without its ending.
	Template() string
	base() Base
}

// Base is the part that all pages have in common.
type Base struct {
	// CSRF goes into the page's own forms as the hidden field "csrf_token".
	CSRF string
	// LanguageCSRF and SignOutCSRF go into the forms of the header: a token is good for one purpose only.
	LanguageCSRF string
	SignOutCSRF  string
	// Here is this page's own path and query: where its form posts to, and where the language switch returns to. Empty: no
	// language switch is shown.
	Here string
	// Notice, if set, says on top of the page that something was done.
	Notice i18n.Key
	// Errors stand in a summary on top, and each beside its field.
	Errors []FieldError
	// SignedIn shows the menu.
	SignedIn bool
	// AccountURL is where the person looks after password and devices; empty: no such link.
	AccountURL string
}

func (b Base) base() Base { return b }

// Text is a message of the catalogue: a key and the values for its places, as name, value, name, value.
type Text struct {
	Key  i18n.Key
	Args []any
}

// FieldError says what to change in a field. Field is the name of the form field, empty for the form as a whole.
type FieldError struct {
	Field string
	Text
}

// Wrong makes a FieldError: Wrong("receipt", ErrReceiptFormat) or Wrong("", ErrTooManyTries, "Wait", time.Hour).
func Wrong(field string, key i18n.Key, args ...any) FieldError {
	return FieldError{Field: field, Text: Text{key, args}}
}

// What can be wrong with the claim form. Places to fill are named in the comment.
const (
	ErrReceiptRequired i18n.Key = "error.receipt.required"
	ErrReceiptFormat   i18n.Key = "error.receipt.format"
	ErrCodeRequired    i18n.Key = "error.code.required"
	ErrCodeFormat      i18n.Key = "error.code.format"
	ErrCodeChecksum    i18n.Key = "error.code.checksum"
	ErrNotAccepted     i18n.Key = "error.claim.not_accepted"
	ErrInProgress      i18n.Key = "error.claim.in_progress"
	ErrTooManyTries    i18n.Key = "error.claim.too_many"  // Wait
	ErrSlowDown        i18n.Key = "error.claim.slow_down" // Wait
	ErrUnavailable     i18n.Key = "error.claim.unavailable"
	ErrFormExpired     i18n.Key = "error.form_expired"
	ErrStepUpStopped   i18n.Key = "error.claim.stopped"
)

// What was done.
const (
	NoticeClaimed     i18n.Key = "notice.claimed"
	NoticeAlreadyYour i18n.Key = "notice.already_yours"
)
