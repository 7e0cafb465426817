package web

import (
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"

	"ellis.example/idp/internal/fault"
)

// Faults of forms.
var (
	ErrFormType  = fault.New(fault.MediaType, "form_type", "send the form as application/x-www-form-urlencoded, not compressed")
	ErrFormTwice = fault.New(fault.Invalid, "form_field_twice", "each field may be sent once")
	ErrFormText  = fault.New(fault.Invalid, "form_text", "the form is not valid text")
)

// Form reads a posted form: the body alone, each field at most once, valid UTF-8. Errors: ErrFormType, ErrFormTwice,
// ErrFormText, and that of a body that is too large.
func Form(r *http.Request) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || r.Header.Get("Content-Encoding") != "" {
		return nil, ErrFormType
	}
	if err := r.ParseForm(); err != nil {
		if tooLarge(err) {
			return nil, err
		}
		return nil, ErrFormText.Because(err)
	}
	for k, v := range r.PostForm {
		if len(v) != 1 {
			return nil, ErrFormTwice.At(printable(k, 64))
		}
		if !utf8.ValidString(v[0]) || !utf8.ValidString(k) {
			return nil, ErrFormText
		}
	}
	return r.PostForm, nil
}
