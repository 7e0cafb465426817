package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/shed"
)

// placesFor says where a request to path is counted.
//
// The keys, the discovery documents and the assets take no place, because every API hangs on the first two and all are bytes
// that lie ready: whoever does not take them holds up nobody. Polls of the feed have places of their own, so that no crowd
// keeps APIs from hearing what is revoked; they give them back while they only wait. Paths beside these count: what is not
// found is a page that has to be rendered.
func (e *Edge) placesFor(path string) *shed.Places {
	switch {
	case e.documents[path] != nil, strings.HasPrefix(path, "/assets/"):
		return nil
	case path == "/events/poll":
		return e.cfg.Load.polls
	}
	return e.cfg.Load.places
}

// admit hands a request on that is within bounds when there is a place for it, and says what is wrong when there is none.
func (e *Edge) admit(next http.Handler, w *shed.Answer, r *http.Request, info *Request) {
	err := shed.HeadInBounds(r)
	if places := e.placesFor(r.URL.Path); err == nil && places != nil {
		info.polls = places == e.cfg.Load.polls
		if err = places.Take(w, r); err == nil {
			defer w.Leave()
			err = shed.FormInBounds(r)
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

// Waits is told by who answers a poll of the feed when it begins to do nothing but wait, and when that is over: meanwhile its
// place is for others. The body has to be read before, or to be of no use. It means nothing for other requests: what they wait
// for is what their places bound.
func (i *Request) Waits(yes bool) {
	switch {
	case !i.polls || i.answer == nil:
	case yes:
		i.answer.Pause()
	default:
		i.answer.Resume()
	}
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
	case shed.ErrFields.Code: // RFC 6585 §5
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
