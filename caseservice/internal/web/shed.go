package web

import (
	"errors"
	"net/http"
	"strings"

	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/shed"
)

var errLarge = fault.New(fault.TooLarge, "body_too_large", "the request body is too large")

// ready reports whether what is at path are bytes that lie ready: whoever does not take them holds up nobody, and needs no
// place.
func ready(path string) bool { return strings.HasPrefix(path, "/assets/") }

// admit hands a request on that is within bounds when there is a place for it, and says what is wrong when there is none.
func (l *Load) admit(next http.Handler, w *shed.Answer, r *http.Request, info *Info) {
	err := shed.HeadInBounds(r)
	if err == nil && !ready(r.URL.Path) {
		if err = l.places.Take(w, r); err == nil {
			defer w.Leave()
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

// bodyInBounds looks at what has arrived, whoever sent it. A browser whose form is too large gets a page instead, from the
// handler, which is told. Errors: errLarge, shed.ErrDeep, shed.ErrParams.
func bodyInBounds(r *http.Request) error {
	if _, err := shed.Text(r); tooLarge(err) && !strings.Contains(r.Header.Get("Accept"), "text/html") {
		return errLarge.Because(err)
	}
	if err := shed.JSONInBounds(r); err != nil {
		return err
	}
	return shed.FormInBounds(r)
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
	case shed.ErrFields.Code: // RFC 6585 §5
		p.Status, p.Title = http.StatusRequestHeaderFieldsTooLarge, "The header is too large"
	}
	setRetryAfter(w.Header(), f.RetryAfter)
	if !shed.TurnAwayPerson(w, r, p.Status, f) {
		WriteProblem(w, p, f.RetryAfter)
	}
}
