package web

import (
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/shed"
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
	if err := parse(r); err != nil {
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

// parse fills r.PostForm. Of a body that has arrived whole it is made at once: r.ParseForm would read it again, and copy what it
// found for those who take a query and a form for the same.
func parse(r *http.Request) error {
	text, err := shed.Text(r)
	if len(text) == 0 || err != nil || r.Method != http.MethodPost || r.URL.RawQuery != "" || r.PostForm != nil {
		return r.ParseForm()
	}
	r.PostForm, err = url.ParseQuery(string(text))
	return err
}
