package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/shed"
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
)

// placesFor says where a request to path is counted.
//
// The keys, the discovery documents and the assets take no place, because every API hangs on the first two and all are bytes
// that lie ready: whoever does not take them holds up nobody. Polls of the feed have places of their own, so that no crowd
// keeps APIs from hearing what is revoked; they give them back once they only wait. Paths beside these count: what is not
// found is a page that has to be rendered.
func (l *Load) placesFor(path string) *shed.Places {
	switch path {
	case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks":
		return nil
	case "/events/poll":
		return l.polls
	}
	if strings.HasPrefix(path, "/assets/") {
		return nil
	}
	return l.places
}

// admit hands a request on that is within bounds when there is a place for it, and says what is wrong when there is none.
func (e *Edge) admit(next http.Handler, w http.ResponseWriter, r *http.Request, info *Request) {
	places := e.cfg.Load.placesFor(r.URL.Path)
	err := headInBounds(r)
	if err == nil && places != nil {
		if err = places.Take(r); err == nil {
			info.places = places
			defer info.leave(r)
			err = bodyInBounds(r)
		}
	}
	if errors.Is(err, shed.ErrGone) {
		panic(http.ErrAbortHandler) // nobody is there who reads an answer
	}
	if err != nil {
		info.cause = err
		turnAway(w, r, fault.Of(err))
		return
	}
	next.ServeHTTP(w, r)
}

// Waiting gives the place of the request to others: from now on it waits for something to happen and does nothing else.
func (i *Request) Waiting() {
	if i.places != nil {
		i.places.Free()
		i.places = nil
	}
}

// leave ends what admit began.
func (i *Request) leave(r *http.Request) {
	i.Waiting()
	shed.Answered(r)
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

// bodyInBounds counts the parameters of a form. Errors: errParams.
func bodyInBounds(r *http.Request) error {
	text, _ := shed.Text(r) // whoever reads it is told of the error
	if bytes.Count(text, []byte{'&'}) >= maxParams && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return errParams
	}
	return nil
}

// turnAway answers in place of every handler: a browser in plain text, an app in the form of RFC 6749 §5.2.
func turnAway(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	status, code := statusOf(f.Kind), "invalid_request"
	switch f.Code {
	case shed.ErrBusy.Code:
		code = f.Code
	case shed.ErrSlow.Code: // RFC 9110 §15.5.9
		status = http.StatusRequestTimeout
		w.Header().Set("Connection", "close")
	case errFields.Code: // RFC 6585 §5
		status = http.StatusRequestHeaderFieldsTooLarge
	}
	setRetryAfter(w.Header(), f.RetryAfter)
	w.Header()["Cache-Control"] = noStore
	if shed.TurnAwayPerson(w, r, status, f) {
		return
	}
	body, err := json.Marshal(struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}{code, f.Message})
	if err != nil { // there is nothing in it that could not be written
		body = []byte(`{"error":"server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}
