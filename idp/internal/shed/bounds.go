package shed

import (
	"bytes"
	"mime"
	"net/http"
	"strings"

	"ellis.example/idp/internal/fault"
)

// Limits of a request, beside the bytes of its header and of its body.
const (
	maxFields = 100 // lines of the header
	maxParams = 100 // parameters of a query or a form, known or not
)

// Faults of requests that no handler sees.
var (
	// ErrFields is answered with 431 (RFC 6585 §5).
	ErrFields = fault.New(fault.Invalid, "header_fields", "the request has too many header fields: send at most 100")
	ErrParams = fault.New(fault.Invalid, "parameters", "the request has too many parameters: send at most 100")
	ErrDeep   = fault.New(fault.Invalid, "json_depth", "the JSON is nested too deeply")
)

// HeadInBounds counts what the server does not: the lines of the header, of which a name may have many, and the parameters of
// the query. Errors: ErrFields, ErrParams.
func HeadInBounds(r *http.Request) error {
	n := 0
	for _, lines := range r.Header {
		n += len(lines)
	}
	switch {
	case n > maxFields:
		return ErrFields
	case strings.Count(r.URL.RawQuery, "&") >= maxParams:
		return ErrParams
	}
	return nil
}

// FormInBounds counts the parameters of a form that has arrived. Errors: ErrParams.
func FormInBounds(r *http.Request) error {
	text, _ := Text(r) // whoever reads it is told of the error
	if bytes.Count(text, []byte{'&'}) >= maxParams && isMedia(r, "application/x-www-form-urlencoded") {
		return ErrParams
	}
	return nil
}

// JSONInBounds looks at JSON that has arrived. Errors: ErrDeep.
func JSONInBounds(r *http.Request) error {
	text, _ := Text(r) // whoever reads it is told of the error
	if deep(text) && isMedia(r, "application/json") {
		return ErrDeep
	}
	return nil
}

// isMedia compares as those do who read bodies: in any case, and whatever the parameters are like.
func isMedia(r *http.Request, want string) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // its error may be about parameters alone
	return kind == want
}
