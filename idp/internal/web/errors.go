package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ellis.example/idp/internal/fault"
)

// OAuthError is an error as a relying party sees it (RFC 6749 §5.2, RFC 6750 §3).
type OAuthError struct {
	Status      int
	Code        string // "invalid_grant" …
	Description string // what was wrong, in plain ASCII English; says nothing that helps a guess
	Challenge   string // WWW-Authenticate, where there is one
	RetryAfter  time.Duration
	Cause       error // for the log alone
}

// Error implements error. The text is for logs.
func (o *OAuthError) Error() string {
	s := o.Code + ": " + o.Description
	if o.Cause != nil {
		s += ": " + o.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (o *OAuthError) Unwrap() error { return o.Cause }

// OAuth serves h on a protocol route: never cached, errors as JSON.
func (e *Edge) OAuth(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := named(r)
		w.Header()["Cache-Control"] = noStore
		if err := h(w, r); err != nil {
			info.cause = err
			WriteOAuth(w, r, err)
		}
	})
}

// OAuthOf returns how err looks to a relying party. An unknown error says nothing but a support code.
func OAuthOf(err error, support string) *OAuthError {
	var o *OAuthError
	if errors.As(err, &o) {
		return o
	}
	if tooLarge(err) {
		return &OAuthError{Status: http.StatusRequestEntityTooLarge, Code: "invalid_request", Description: "the request body is too large"}
	}
	f := fault.Of(err)
	out := &OAuthError{Status: statusOf(f.Kind), Description: f.Message, RetryAfter: f.RetryAfter, Cause: err}
	switch f.Kind {
	case fault.Internal:
		out.Code, out.Description = "server_error", "something went wrong on our side; support code "+support
	case fault.TooMany, fault.Unavailable:
		out.Code = "temporarily_unavailable"
	case fault.Unauthenticated:
		out.Code = "invalid_client"
	case fault.Forbidden:
		out.Code = "access_denied"
	default:
		out.Code = "invalid_request"
	}
	return out
}

// WriteOAuth writes err as JSON.
func WriteOAuth(w http.ResponseWriter, r *http.Request, err error) {
	o := OAuthOf(err, Info(r.Context()).ID)
	body, err := json.Marshal(struct {
		Code        string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{o.Code, o.Description})
	if err != nil {
		body = []byte(`{"error":"server_error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h["Cache-Control"] = noStore
	if o.Challenge != "" {
		h.Set("WWW-Authenticate", o.Challenge)
	}
	setRetryAfter(h, o.RetryAfter)
	w.WriteHeader(o.Status)
	_, _ = w.Write(body) // the client may be gone
}

// Page serves h on a route that people see: errors are pages, nothing is cached or framed, and a form of another site
// is refused.
func (e *Edge) Page(h Handler) http.Handler { return e.page(h, true) }

// OpenPage is Page for routes that other sites must be able to post to: authorize and logout.
func (e *Edge) OpenPage(h Handler) http.Handler { return e.page(h, false) }

var errCrossSite = fault.New(fault.Forbidden, "cross_site", "this form was sent from another site")

func (e *Edge) page(h Handler, own bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := named(r)
		head := w.Header()
		head["Cache-Control"] = noStore
		head["Cross-Origin-Opener-Policy"] = sameOpen
		head["Cross-Origin-Resource-Policy"] = sameOpen
		AllowFormTarget(w)
		var err error
		if own && e.cross.Check(r) != nil {
			err = errCrossSite
		} else {
			err = h(w, r)
		}
		if err != nil {
			info.cause = err
			e.ShowError(w, r, err)
		}
	})
}

// ShowError shows err as a page.
func (e *Edge) ShowError(w http.ResponseWriter, r *http.Request, err error) {
	if tooLarge(err) {
		err = fault.New(fault.TooLarge, "too_large", "what was sent is too large").Because(err)
	}
	f := fault.Of(err)
	setRetryAfter(w.Header(), f.RetryAfter)
	e.cfg.ErrorPage(w, r, f)
}

// NotFound answers 404.
func (e *Edge) NotFound() http.Handler {
	return e.page(func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "page_not_found", "there is no such page")
	}, false)
}

// MethodNotAllowed answers 405. The caller says in Allow what there is (RFC 9110 §15.5.6).
func (e *Edge) MethodNotAllowed() http.Handler {
	return e.page(func(_ http.ResponseWriter, r *http.Request) error {
		return fault.New(fault.NotAllowed, "method", "this address does not take the method "+knownMethod(r.Method))
	}, false)
}

// OnlyMethods answers 405, or what there is to who asks for that with OPTIONS, where a route's methods were not used.
func (e *Edge) OnlyMethods(allow string) http.Handler {
	refuse := e.MethodNotAllowed()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		refuse.ServeHTTP(w, r)
	})
}

// AllowFormTarget sets the content security policy of a page. origins are those that a form may end at: browsers apply
// form-action to the redirects that follow a form, so that the pages of a flow name their client's.
func AllowFormTarget(w http.ResponseWriter, origins ...string) {
	var b strings.Builder
	b.WriteString("default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self' data:; script-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'")
	for _, o := range origins {
		if o != "" && !strings.ContainsAny(o, " ;,'\"\r\n") {
			b.WriteString(" " + o)
		}
	}
	w.Header()["Content-Security-Policy"] = []string{b.String()}
}

// FormTarget returns what form-action has to name for answers to uri: its origin, or the scheme of a native app.
func FormTarget(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "":
		return ""
	case u.Host != "" && (u.Scheme == "https" || u.Scheme == "http"):
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + ":"
}

func setRetryAfter(h http.Header, d time.Duration) {
	if d > 0 {
		h.Set("Retry-After", strconv.Itoa(int((d+time.Second-1)/time.Second)))
	}
}

func tooLarge(err error) bool {
	var m *http.MaxBytesError
	return errors.As(err, &m)
}

var statuses = map[fault.Kind]int{
	fault.Internal: http.StatusInternalServerError, fault.Invalid: http.StatusBadRequest, fault.Unauthenticated: http.StatusUnauthorized,
	fault.Forbidden: http.StatusForbidden, fault.NotFound: http.StatusNotFound, fault.Conflict: http.StatusConflict, fault.Gone: http.StatusGone,
	fault.TooMany: http.StatusTooManyRequests, fault.TooLarge: http.StatusRequestEntityTooLarge, fault.Unavailable: http.StatusServiceUnavailable,
	fault.NotAllowed: http.StatusMethodNotAllowed, fault.MediaType: http.StatusUnsupportedMediaType,
}

func statusOf(k fault.Kind) int { return statuses[k] }

// StatusOf is the status of a fault.
func StatusOf(f *fault.Error) int { return statusOf(f.Kind) }
