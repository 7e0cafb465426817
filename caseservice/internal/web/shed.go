package web

import (
	"bytes"
	"errors"
	"net/http"
	"strings"

	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/shed"
)

// Limits of a request, beside the bytes of its header and of its body.
const (
	maxFields = 100 // header fields of different names
	maxParams = 100 // parameters of a query or a form, known or not
)

// Faults of requests that no handler sees.
var (
	errFields = fault.New(fault.Invalid, "header_fields", "the request has too many header fields: send at most 100")
	errParams = fault.New(fault.Invalid, "parameters", "the request has too many parameters: send at most 100")
	errDeep   = fault.New(fault.Invalid, "json_depth", "the JSON is nested too deeply")
	errLarge  = fault.New(fault.TooLarge, "body_too_large", "the request body is too large")
)

// ready reports whether what is at path are bytes that lie ready: whoever does not take them holds up nobody, and needs no
// place.
func ready(path string) bool { return strings.HasPrefix(path, "/assets/") }

// admit hands a request on that is within bounds when there is a place for it, and says what is wrong when there is none.
func (l *Load) admit(next http.Handler, w http.ResponseWriter, r *http.Request, info *Info) {
	err := headInBounds(r)
	if err == nil && !ready(r.URL.Path) {
		if err = l.places.Take(r); err == nil {
			defer l.places.Leave(r)
			err = bodyInBounds(r)
		}
	}
	if errors.Is(err, shed.ErrGone) {
		panic(http.ErrAbortHandler) // nobody is there who reads an answer
	}
	if err != nil {
		info.Cause = err
		turnAway(w, r, info.ID, fault.Of(err))
		return
	}
	next.ServeHTTP(w, r)
}

// headInBounds counts what the server does not. Errors: errFields, errParams.
func headInBounds(r *http.Request) error {
	switch {
	case len(r.Header) > maxFields:
		return errFields
	case strings.Count(r.URL.RawQuery, "&") >= maxParams:
		return errParams
	}
	return nil
}

// bodyInBounds looks at what has arrived, whoever sent it. A browser whose form is too large gets a page instead, from the
// handler, which is told. Errors: errLarge, errDeep, errParams.
func bodyInBounds(r *http.Request) error {
	text, err := shed.Text(r)
	kind := r.Header.Get("Content-Type")
	switch {
	case text == nil:
	case tooLarge(err) && !strings.Contains(r.Header.Get("Accept"), "text/html"):
		return errLarge.Because(err)
	case strings.HasPrefix(kind, "application/json") && shed.Deep(text):
		return errDeep
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded") && bytes.Count(text, []byte{'&'}) >= maxParams:
		return errParams
	}
	return nil
}

func tooLarge(err error) bool {
	var m *http.MaxBytesError
	return errors.As(err, &m)
}

// turnAway answers in place of every handler.
func turnAway(w http.ResponseWriter, r *http.Request, id string, f *fault.Error) {
	p := ProblemOf(f, id)
	switch f.Code {
	case shed.ErrSlow.Code: // RFC 9110 §15.5.9
		p.Status, p.Title = http.StatusRequestTimeout, "The request did not arrive in time"
		w.Header().Set("Connection", "close")
	case errFields.Code: // RFC 6585 §5
		p.Status, p.Title = http.StatusRequestHeaderFieldsTooLarge, "The header is too large"
	}
	setRetryAfter(w.Header(), f.RetryAfter)
	if !shed.TurnAwayPerson(w, r, p.Status, f) {
		WriteProblem(w, p, f.RetryAfter)
	}
}
