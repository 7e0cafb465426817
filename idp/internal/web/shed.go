package web

import (
	"io"
	"net/http"

	"ellis.example/idp/internal/shed"
)

// counted reports whether a request to path takes a place. The keys and the discovery documents do not, because every API
// hangs on them and they are bytes that lie ready; nor do the polls of the feed, which wait and do nothing else. Paths beside
// them count: what is not found is a page that has to be rendered.
func counted(path string) bool {
	switch path {
	case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks", "/events/poll":
		return false
	}
	return true
}

// admit hands a request on when there is a place for it, and answers 503 when there is none.
func (e *Edge) admit(next http.Handler, w http.ResponseWriter, r *http.Request, info *Request) {
	if !counted(r.URL.Path) {
		next.ServeHTTP(w, r)
		return
	}
	if !e.under.Take(r) {
		info.cause = shed.ErrBusy
		turnAway(w, r)
		return
	}
	defer e.under.Leave()
	next.ServeHTTP(w, r)
}

// turnAway says that there is no place, to an app in the form of RFC 6749 §5.2.
func turnAway(w http.ResponseWriter, r *http.Request) {
	setRetryAfter(w.Header(), shed.ErrBusy.RetryAfter)
	w.Header()["Cache-Control"] = noStore
	if shed.TurnAwayPerson(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `{"error":"`+shed.ErrBusy.Code+`","error_description":"`+shed.ErrBusy.Message+`"}`)
}
