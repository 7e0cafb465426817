package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/web"
)

// The public faults. Their codes are part of the API's contract.
var (
	errNoToken    = fault.New(fault.Unauthenticated, "authentication_required", "send an access token as Authorization: Bearer")
	errTokenPlace = fault.New(fault.Unauthenticated, codeInvalidToken, "an access token belongs into one Authorization header, and nowhere else")
	errScope      = fault.New(fault.Forbidden, "insufficient_scope", "the access token lacks the scope that this call needs")
	errPerson     = fault.New(fault.Forbidden, "person_required", "this call is for a person, and the token stands for a client")
	errMachine    = fault.New(fault.Forbidden, "machine_only", "this call is for machine clients, and the token stands for a person")
	errAssurance  = fault.New(fault.Unauthenticated, codeStepUp, "the person has to sign in again, with a second factor")
	errNotFound   = fault.New(fault.NotFound, "not_found", "there is no such case, or it is not yours")
	errYours      = fault.New(fault.Conflict, "case_already_yours", "this case is in your account already")
	errInvalid    = fault.New(fault.Invalid, "invalid_request", "the request has to be changed: see errors")
	errCursor     = fault.New(fault.Invalid, "invalid_cursor", "this cursor is not one of yours for this list: begin again without it")
)

const (
	codeInvalidToken = "invalid_token"
	codeStepUp       = "insufficient_user_authentication"
)

// refuse says how a missing part of the rule looks from outside, and keeps it for the ledger.
func (c *call) refuse(m cases.Missing) error {
	c.missing = m
	switch m {
	case cases.MissingScope:
		return errScope
	case cases.MissingPerson:
		return errPerson
	case cases.MissingMachine:
		return errMachine
	case cases.MissingAssurance:
		return errAssurance
	case cases.MissingState:
		return errYours
	}
	return errNotFound // unknown or not yours: one answer
}

// invalid is a fault of one member of the request.
func invalid(pointer, code, detail string) error {
	return &web.Fields{Fault: errInvalid, All: []web.FieldProblem{{Pointer: pointer, Code: code, Detail: detail}}}
}

// own are the statuses that no kind of fault has, by code.
var own = map[string]struct {
	status int
	title  string
}{
	errNoMethod.Code:  {http.StatusMethodNotAllowed, "Method not allowed"},
	errMedia.Code:     {http.StatusUnsupportedMediaType, "Unsupported media type"},
	errClaim.Code:     {http.StatusUnprocessableEntity, "The claim was not accepted"},
	errKeyReused.Code: {http.StatusUnprocessableEntity, "The Idempotency-Key was used before"},
}

// fail answers with a problem, and with the challenge that belongs to it.
func (a *API) fail(w http.ResponseWriter, r *http.Request, act cases.Act, err error) {
	info := web.InfoOf(r)
	info.Cause = err
	f, p := fault.Of(err), web.ProblemOf(err, info.ID)
	if o, ok := own[f.Code]; ok {
		p.Status, p.Title = o.status, o.title
	}
	if c := a.challenge.of(act, f); c != "" {
		w.Header()["Www-Authenticate"] = []string{c}
	}
	wait := f.RetryAfter
	if f.Kind == fault.Unavailable || f.Kind == fault.TooMany {
		wait = max(wait, time.Second)
	}
	web.WriteProblem(w, p, wait)
}

// bearer takes the token out of a request (RFC 6750 §2.1): one header, no other place. Errors: errNoToken, errTokenPlace.
func bearer(r *http.Request) (string, error) {
	if r.URL.RawQuery != "" && r.URL.Query().Has("access_token") {
		return "", errTokenPlace // RFC 9700 §4.3.2: it stands in logs and histories by now
	}
	lines := r.Header["Authorization"]
	if len(lines) > 1 {
		return "", errTokenPlace
	}
	if len(lines) == 0 {
		return "", errNoToken
	}
	scheme, token, _ := strings.Cut(lines[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", errNoToken
	}
	return token, nil
}

// challenger makes WWW-Authenticate headers.
type challenger struct{ end string }

// newChallenger takes the URL of the resource metadata, which every challenge names (RFC 9728 §5.1).
func newChallenger(metadata string) challenger {
	return challenger{`resource_metadata="` + metadata + `"`}
}

// of returns the challenge that belongs to a fault, "" when none does. A request without a token gets one without an error
// (RFC 6750 §3.1).
func (c challenger) of(act cases.Act, f *fault.Error) string {
	more := ""
	switch f.Code {
	case errNoToken.Code:
		return "Bearer " + c.end
	case codeInvalidToken:
	case errScope.Code:
		more = `scope="` + cases.RuleOf(act).Scope + `", `
	case codeStepUp: // RFC 9470 §3
		r := cases.RuleOf(act)
		more = `acr_values="` + r.ACR + `", max_age="` + strconv.Itoa(int(r.MaxAge/time.Second)) + `", `
	default:
		return ""
	}
	return `Bearer error="` + f.Code + `", error_description="` + quotable(f.Message) + `", ` + more + c.end
}

// quotable keeps to what RFC 6750 §3 allows in an error_description.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '\''
		}
		return r
	}, s)
}
