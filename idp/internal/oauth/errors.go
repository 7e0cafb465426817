package oauth

import (
	"errors"
	"net/http"
	"strings"

	"github.com/ory/fosite"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/web"
)

// protoError is an error in the terms of the protocol, before it is known how it travels: as JSON, or in a redirect.
type protoError struct {
	code   string // RFC 6749 §4.1.2.1 and §5.2, OpenID Connect Core §3.1.2.6, RFC 8707 §2
	why    string // for the developer, in ASCII
	reason string // for the audit; empty: code
	cause  error
}

// Error implements error. The text is for logs.
func (e *protoError) Error() string { return e.code + ": " + e.why }

// Unwrap returns the cause.
func (e *protoError) Unwrap() error { return e.cause }

func problem(code, why string) *protoError { return &protoError{code: code, why: why} }

// because returns a copy that the audit tells from other errors of the same code.
func (e *protoError) because(reason string) *protoError { c := *e; c.reason = reason; return &c }

func (e *protoError) auditReason() string {
	if e.reason != "" {
		return e.reason
	}
	return e.code
}

// The errors that are returned from more than one place.
var (
	errInvalidGrant  = problem("invalid_grant", "the code or refresh token is invalid, expired, revoked, or was issued to another client")
	errInvalidTarget = problem("invalid_target", "one access token is for one API: ask for a single resource that the client is registered for, and for scopes of that API alone")
	errClientAuth    = problem("invalid_client", "client authentication failed: check client_id, the secret or key, and that the method is the one the client registered")
)

// ofFosite returns what fosite refused in our terms. Anything that is no refusal is our mistake and says nothing.
func ofFosite(err error) error {
	var mine *protoError
	if errors.As(err, &mine) {
		return mine
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	var e *fosite.RFC6749Error
	if !errors.As(err, &e) || e.CodeField >= http.StatusInternalServerError || !known[e.ErrorField] {
		return fault.Of(err)
	}
	code := e.ErrorField
	if code == "invalid_state" {
		code = "invalid_request"
	}
	why := e.HintField
	if why == "" {
		why = e.DescriptionField
	}
	return &protoError{code: code, why: plain(why), cause: err}
}

var known = map[string]bool{
	"invalid_request": true, "unauthorized_client": true, "access_denied": true, "unsupported_response_type": true, "unsupported_response_mode": true,
	"invalid_scope": true, "invalid_grant": true, "invalid_client": true, "unsupported_grant_type": true, "invalid_state": true,
	"registration_not_supported": true, "request_not_supported": true, "request_uri_not_supported": true,
}

// plain keeps the characters that error_description may have (RFC 6749 §5.2).
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '`':
			return '\''
		case r < ' ' || r > '~' || r == '\\':
			return -1
		}
		return r
	}, s)
}

// status of the errors that are answered as JSON and are not 400.
func (p *Provider) wire(err error) error {
	var e *protoError
	if !errors.As(err, &e) {
		return err
	}
	out := &web.OAuthError{Status: http.StatusBadRequest, Code: e.code, Description: e.why, Cause: e.cause}
	if e.code == "invalid_client" {
		out.Status, out.Challenge = http.StatusUnauthorized, `Basic realm="`+p.issuer+`", charset="UTF-8"`
	}
	return out
}
