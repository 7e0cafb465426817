package fault

import (
	"errors"
	"time"
)

// Kind classifies a fault. It decides the status on every kind of route.
type Kind uint8

// The kinds of fault. The zero value is Internal, so that an unclassified fault says nothing to the outside.
const (
	Internal        Kind = iota // 500: our mistake; only a support code is shown
	Invalid                     // 400: the input is wrong, and the message says what to change
	Unauthenticated             // 401: who is asking is not established
	Forbidden                   // 403: known, and not allowed
	NotFound                    // 404
	Conflict                    // 409: the state moved on
	Gone                        // 410: expired or used up
	TooMany                     // 429: RetryAfter says when to come back
	TooLarge                    // 413
	NotAllowed                  // 405: this address does not take the method
	MediaType                   // 415: this address does not take the format
	Unavailable                 // 503: a dependency or capacity is missing; RetryAfter says when to come back
)

// Error is a fault. Code and Message are public; Cause is for the log only.
type Error struct {
	Kind       Kind
	Code       string        // stable, machine-readable, e.g. "password_too_short"
	Message    string        // plain English for a developer; pages translate Code instead
	Field      string        // form field or JSON pointer that is at fault, if one is
	RetryAfter time.Duration // for TooMany and Unavailable
	Cause      error
}

// New returns a fault of the given kind.
func New(k Kind, code, message string) *Error { return &Error{Kind: k, Code: code, Message: message} }

// Error implements error. The text is for logs: it includes the cause.
func (e *Error) Error() string {
	s := e.Code
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is a fault with the same code, so that a fault value can serve as a sentinel.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Kind == e.Kind
}

// Because returns a copy of e with the given cause.
func (e *Error) Because(cause error) *Error { c := *e; c.Cause = cause; return &c }

// At returns a copy of e that names the field at fault.
func (e *Error) At(field string) *Error { c := *e; c.Field = field; return &c }

// After returns a copy of e that says when to try again.
func (e *Error) After(d time.Duration) *Error { c := *e; c.RetryAfter = d; return &c }

// Of returns err as a fault: itself if it is one, else an Internal fault caused by it. Of(nil) is nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	var f *Error
	if errors.As(err, &f) {
		return f
	}
	return &Error{Kind: Internal, Code: "internal", Message: "something went wrong on our side", Cause: err}
}

// Is reports whether err is a fault of kind k.
func Is(err error, k Kind) bool { return err != nil && Of(err).Kind == k }
