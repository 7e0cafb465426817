package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"ellis.example/caseservice/internal/fault"
)

// Problem is an error as the outside sees it (RFC 9457).
type Problem struct {
	Type    string         `json:"type"`
	Title   string         `json:"title"`
	Status  int            `json:"status"`
	Code    string         `json:"code"`
	Detail  string         `json:"detail,omitempty"`
	Errors  []FieldProblem `json:"errors,omitempty"`
	Support string         `json:"support_code,omitempty"`
}

// FieldProblem names one member of the request that is at fault.
type FieldProblem struct {
	Pointer string `json:"pointer"` // JSON Pointer into the body, or ?name of a parameter, or the name of a header
	Code    string `json:"code,omitempty"`
	Detail  string `json:"detail"`
}

// Fields is a fault of one or several members.
type Fields struct {
	Fault *fault.Error
	All   []FieldProblem
}

// Error implements error.
func (f *Fields) Error() string { return f.Fault.Error() }

// Unwrap lets errors.As find the fault.
func (f *Fields) Unwrap() error { return f.Fault }

type kindWords struct {
	status int
	title  string
}

var kinds = map[fault.Kind]kindWords{
	fault.Internal:        {http.StatusInternalServerError, "Something went wrong on our side"},
	fault.Invalid:         {http.StatusBadRequest, "The request is not valid"},
	fault.Unauthenticated: {http.StatusUnauthorized, "Authentication is required"},
	fault.Forbidden:       {http.StatusForbidden, "Not allowed"},
	fault.NotFound:        {http.StatusNotFound, "Not found"},
	fault.Conflict:        {http.StatusConflict, "The state does not allow this"},
	fault.Gone:            {http.StatusGone, "No longer there"},
	fault.TooMany:         {http.StatusTooManyRequests, "Too many requests"},
	fault.TooLarge:        {http.StatusRequestEntityTooLarge, "The request is too large"},
	fault.Unavailable:     {http.StatusServiceUnavailable, "Not available at the moment"},
}

// ProblemOf returns how err looks from outside. An unknown error says nothing but a support code, which stands in the
// log beside the cause.
func ProblemOf(err error, supportCode string) Problem {
	f := fault.Of(err)
	words := kinds[f.Kind]
	p := Problem{Type: "urn:ellis:problem:" + f.Code, Title: words.title, Status: words.status, Code: f.Code, Detail: f.Message}
	if f.Kind == fault.Internal {
		p.Type, p.Code, p.Detail, p.Support = "urn:ellis:problem:internal", "internal", "", supportCode
		return p
	}
	var fields *Fields
	if errors.As(err, &fields) {
		p.Errors = fields.All
	} else if f.Field != "" {
		p.Errors = []FieldProblem{{Pointer: f.Field, Code: f.Code, Detail: f.Message}}
	}
	return p
}

var problemType = []string{"application/problem+json"}

// WriteProblem answers with p. Headers that belong to it (a challenge, Allow) are set by the caller before.
func WriteProblem(w http.ResponseWriter, p Problem, retryAfter time.Duration) {
	h := w.Header()
	h["Content-Type"] = problemType
	h.Del("Etag")
	setRetryAfter(h, retryAfter)
	body, err := json.Marshal(p)
	if err != nil { // a Problem holds only texts and numbers
		body = []byte(`{"type":"urn:ellis:problem:internal","status":500,"code":"internal"}`)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client may be gone
}

func setRetryAfter(h http.Header, d time.Duration) {
	if d > 0 {
		h.Set("Retry-After", strconv.Itoa(int((d+time.Second-1)/time.Second)))
	}
}
