package oauth

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/web"
)

// Limits of an authorization request, in bytes. A query is bounded by the server's header limit, a body by the edge.
const (
	maxParam  = 2048
	maxHint   = 8192 // id_token_hint
	maxScopes = 50
	maxList   = 20 // values of prompt, acr_values, ui_locales
)

// authorizeParams are those that mean something here. Everything else is ignored (RFC 6749 §3.1), and nothing else is kept.
var authorizeParams = []string{
	"response_type", "client_id", "redirect_uri", "scope", "state", "response_mode", "nonce", "display", "prompt", "max_age", "ui_locales",
	"id_token_hint", "login_hint", "acr_values", "code_challenge", "code_challenge_method", "resource", "request", "request_uri", "registration",
}

var errForm = fault.New(fault.Invalid, "authorize_form", "send authorization requests as a query, or as an application/x-www-form-urlencoded body")

// readAuthorize returns the parameters of an authorization request. It says which one is out of form: sent twice, too long,
// no text. resource may be sent more than once; that is answered as invalid_target.
func readAuthorize(r *http.Request) (values url.Values, wrong string, err error) {
	var all url.Values
	if r.Method == http.MethodPost {
		if err := r.ParseForm(); err != nil {
			return nil, "", errForm.Because(err)
		}
		all = r.PostForm
		if len(all) == 0 && r.ContentLength != 0 {
			return nil, "", errForm
		}
	} else if all, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return nil, "", errForm.Because(err)
	}
	values, wrong = pickAuthorize(all)
	return values, wrong, nil
}

// pickAuthorize keeps the parameters that are known. Of one that is out of form only the name comes back.
func pickAuthorize(all url.Values) (values url.Values, wrong string) {
	values = url.Values{}
	for _, name := range authorizeParams {
		v, ok := all[name]
		if !ok {
			continue
		}
		limit := maxParam
		if name == "id_token_hint" {
			limit = maxHint
		}
		bad := func(s string) bool { return len(s) > limit || !utf8.ValidString(s) }
		if slices.ContainsFunc(v, bad) || (len(v) > 1 && name != "resource") {
			if wrong == "" {
				wrong = name
			}
			continue
		}
		if v[0] != "" || name == "redirect_uri" { // RFC 6749 §3.1: without a value is as if left out
			values[name] = v
		}
	}
	return values, wrong
}

// formParams are those that mean something at the other protocol endpoints.
var formParams = []string{
	"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "code", "redirect_uri", "code_verifier",
	"refresh_token", "scope", "resource", "token", "token_type_hint", "access_token",
}

// readForm returns the body of a request to a protocol endpoint. Of r's body, too, only what is known is left: everything
// else is ignored (RFC 6749 §3.2), and fosite compares every value of a parameter that we never use with all others.
// Errors: invalid_request; that of a body that is too large.
func readForm(r *http.Request) (url.Values, error) {
	form, err := web.Form(r)
	var f *fault.Error
	if errors.As(err, &f) {
		return nil, &protoError{code: "invalid_request", why: f.Message, cause: err}
	}
	maps.DeleteFunc(form, func(name string, _ []string) bool { return !slices.Contains(formParams, name) })
	return form, err
}
