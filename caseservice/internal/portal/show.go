package portal

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/i18n"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/ui"
	"ellis.example/caseservice/internal/web"
)

// lang chooses the language: what the person chose, what the browser prefers.
func (p *Portal) lang(r *http.Request) i18n.Lang {
	return i18n.Negotiate(p.Gate.Cookies().Get(r, signin.CookieLang), r.Header.Get("Accept-Language"))
}

// show writes a page in the reader's language.
func (p *Portal) show(w http.ResponseWriter, r *http.Request, status int, page ui.Page) error {
	lang := p.lang(r)
	var b bytes.Buffer
	if err := p.Renderer.Render(&b, lang, page); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(lang))
	h.Add("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // the browser may be gone
	}
	return nil
}

// base is the part of a page that is the same for everybody. purpose names what its form may do.
func (p *Portal) base(w http.ResponseWriter, r *http.Request, purpose string) ui.Base {
	b := ui.Base{CSRF: p.token(w, r, purpose), LanguageCSRF: p.token(w, r, purposeLanguage)}
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.Path != "/callback" {
		b.Here = r.URL.RequestURI()
	}
	return b
}

// ownBase is base with the menu, and with what was done since the last page.
func (p *Portal) ownBase(w http.ResponseWriter, r *http.Request, purpose string, v signin.Visit) ui.Base {
	b := p.base(w, r, purpose)
	b.SignedIn, b.AccountURL, b.SignOutCSRF = true, p.AccountURL, p.token(w, r, purposeSignOut)
	if v.Notice != "" && r.Method == http.MethodGet {
		b.Notice = i18n.Key(v.Notice)
		if err := p.Gate.Update(r.Context(), v, func(s *signin.Session) { s.Notice = "" }); err != nil {
			web.InfoOf(r).Cause = err // it is shown twice then
		}
	}
	return b
}

// anyBase is ownBase for somebody who is signed in, else base.
func (p *Portal) anyBase(w http.ResponseWriter, r *http.Request, purpose string) ui.Base {
	if v, err := p.Gate.Current(r); err == nil {
		return p.ownBase(w, r, purpose, v)
	}
	return p.base(w, r, purpose)
}

var statuses = map[fault.Kind]int{
	fault.Internal: http.StatusInternalServerError, fault.Invalid: http.StatusBadRequest, fault.Unauthenticated: http.StatusUnauthorized,
	fault.Forbidden: http.StatusForbidden, fault.NotFound: http.StatusNotFound, fault.Conflict: http.StatusConflict, fault.Gone: http.StatusGone,
	fault.TooMany: http.StatusTooManyRequests, fault.TooLarge: http.StatusRequestEntityTooLarge, fault.Unavailable: http.StatusServiceUnavailable,
}

// statusOf is the status of a fault's page.
func statusOf(f *fault.Error) int {
	switch f.Code {
	case errMethod.Code:
		return http.StatusMethodNotAllowed
	case errHost.Code:
		return http.StatusMisdirectedRequest
	}
	return statuses[f.Kind]
}

// fail shows an error as a page with a way forward.
func (p *Portal) fail(w http.ResponseWriter, r *http.Request, err error) {
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		err = errTooLarge.Because(err)
	}
	f := fault.Of(err)
	retryAfter(w, f)
	if err := p.show(w, r, statusOf(f), p.failure(w, r, f)); err != nil {
		http.Error(w, "something went wrong on our side; support code "+web.InfoOf(r).ID, http.StatusInternalServerError)
	}
}

// retryAfter says when it is worth trying again, where that is known.
func retryAfter(w http.ResponseWriter, f *fault.Error) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
}

// failure is the page for a fault.
func (p *Portal) failure(w http.ResponseWriter, r *http.Request, f *fault.Error) ui.Page {
	support := ""
	if f.Kind == fault.Internal || f.Kind == fault.Unavailable {
		support = web.InfoOf(r).ID
	}
	switch {
	case f.Code == errHost.Code: // cookies and forms would belong to another host
		return ui.ErrorPage{Base: ui.Base{}, Status: statusOf(f), Code: f.Code, HomeURL: p.PublicURL.String()}
	case nobody(f):
		return ui.SessionEnded{
			Base: p.base(w, r, ""), Was: errors.Is(f, signin.ErrSessionEnded), Revoked: errors.Is(f, errTokenRefused), SignInURL: signInURL(here(r)),
		}
	case f.Kind == fault.Unavailable:
		page := ui.Unavailable{Base: p.anyBase(w, r, ""), Wait: f.RetryAfter, RetryURL: here(r), Support: support, Leaving: leaving(r)}
		if page.Leaving { // who reads another language has to be able to read this
			page.Here = page.RetryURL
		}
		return page
	case strings.HasPrefix(f.Code, "signin_"):
		return ui.SignInProblem{Base: p.base(w, r, ""), Code: f.Code, RetryURL: signInURL(here(r)), Support: support}
	}
	return ui.ErrorPage{Base: p.anyBase(w, r, ""), Status: statusOf(f), Code: f.Code, Support: support}
}

// leaving reports whether the person means to sign out, or believes that they have.
func leaving(r *http.Request) bool { return r.URL.Path == "/signout" || r.URL.Path == "/signed-out" }

// here is the page that was asked for, if it can be asked for again.
func here(r *http.Request) string {
	switch {
	case leaving(r): // where it is not certain that the session ended, the way on is to end it again
		return "/signout"
	case r.Method != http.MethodGet:
		return homePath
	}
	return ownPath(r.URL.RequestURI(), returnPaths, homePath)
}

// signInURL begins a sign-in that leads to a page.
func signInURL(returnTo string) string {
	if returnTo == homePath {
		return "/signin"
	}
	return "/signin?" + url.Values{"return_to": {returnTo}}.Encode()
}
