package portal

import (
	"errors"
	"net/http"

	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/i18n"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/ui"
	"ellis.example/caseservice/internal/web"
)

// front leads people who are signed in to their cases, and tells everybody else what this is.
func (p *Portal) front(w http.ResponseWriter, r *http.Request) error {
	if _, err := p.Gate.Current(r); err == nil {
		return see(w, homePath)
	}
	return p.show(w, r, http.StatusOK, ui.Landing{Base: p.base(w, r, "")})
}

// signIn begins a sign-in.
func (p *Portal) signIn(w http.ResponseWriter, r *http.Request) error {
	to := ownPath(r.URL.Query().Get("return_to"), returnPaths, homePath)
	if r.Method == http.MethodHead { // nobody means to sign in by asking for headers
		return nil
	}
	if _, err := p.Gate.Current(r); err == nil {
		return see(w, to)
	}
	return p.begin(w, r, signin.Request{ReturnTo: to})
}

// begin leads the browser to the issuer.
func (p *Portal) begin(w http.ResponseWriter, r *http.Request, q signin.Request) error {
	q.Locale = string(p.lang(r))
	to, err := p.Gate.Begin(w, r, q)
	if err != nil {
		return err
	}
	return see(w, to)
}

// callback reads the issuer's answer and leads to the page that the person wanted.
func (p *Portal) callback(w http.ResponseWriter, r *http.Request) error {
	a, err := p.Gate.Finish(w, r)
	if err == nil {
		return see(w, ownPath(a.ReturnTo, returnPaths, homePath))
	}
	_, gone := p.Gate.Current(r)
	signedIn := gone == nil && !errors.Is(err, signin.ErrOtherPerson)
	switch {
	case signedIn && errors.Is(err, signin.ErrAttemptUnknown) && a.ReturnTo == "": // back button or reload after a sign-in
		web.InfoOf(r).Cause = err
		return see(w, homePath)
	case signedIn && a.Claim != nil && errors.Is(err, signin.ErrDenied):
		web.InfoOf(r).Cause = err
		return see(w, "/claim?stopped=1")
	}
	retry := signInURL(ownPath(a.ReturnTo, returnPaths, homePath))
	if signedIn && a.Claim != nil {
		retry = "/claim" // the session has kept what was typed
	}
	f := fault.Of(err)
	retryAfter(w, f)
	web.InfoOf(r).Cause = err
	base := p.base(w, r, "")
	if f.Kind == fault.Unavailable {
		return p.show(w, r, statusOf(f), ui.Unavailable{Base: base, Wait: f.RetryAfter, RetryURL: retry, Support: web.InfoOf(r).ID})
	}
	page := ui.SignInProblem{Base: base, Code: f.Code, RetryURL: retry}
	if f.Kind == fault.Internal {
		page.Support = web.InfoOf(r).ID
	}
	return p.show(w, r, statusOf(f), page)
}

// nobody reports whether an error of Gate.Current says that nobody is signed in. A store that does not answer says nothing: the
// session may live, and the browser still holds its cookie.
func nobody(err error) bool {
	return errors.Is(err, signin.ErrNoSession) || errors.Is(err, signin.ErrSessionEnded)
}

// signOutForm asks, for those who come by a link or with an old page.
func (p *Portal) signOutForm(w http.ResponseWriter, r *http.Request) error {
	v, err := p.Gate.Current(r)
	switch {
	case nobody(err):
		return see(w, "/signed-out")
	case err != nil:
		return err
	}
	return p.show(w, r, http.StatusOK, ui.SignOut{Base: p.ownBase(w, r, purposeSignOut, v)})
}

// signOut ends the session here and leads to the issuer, which asks whether to end its session too.
func (p *Portal) signOut(w http.ResponseWriter, r *http.Request) error {
	_, err := p.form(r, purposeSignOut)
	if errors.Is(err, errFormExpired) { // the session has a new identifier since that page was made: ask again
		return see(w, "/signout")
	}
	if err != nil {
		return err
	}
	to, err := p.Gate.SignOut(w, r)
	if err != nil {
		return err
	}
	if to == "" {
		to = "/signed-out"
	}
	return see(w, to)
}

// signedOut says that the session is over, where that is certain.
func (p *Portal) signedOut(w http.ResponseWriter, r *http.Request) error {
	switch _, err := p.Gate.Current(r); {
	case err == nil:
		return see(w, homePath)
	case !nobody(err):
		return err
	}
	page := ui.SignedOut{Base: p.base(w, r, ""), IssuerURL: p.AccountURL, Everywhere: p.Gate.CameBack(w, r)}
	page.Here = "/signed-out"
	return p.show(w, r, http.StatusOK, page)
}

// language remembers the chosen language and goes back to the page.
func (p *Portal) language(w http.ResponseWriter, r *http.Request) error {
	form, err := p.form(r, purposeLanguage)
	if err != nil {
		return err
	}
	if l, ok := i18n.Parse(form.Get("lang")); ok {
		p.Gate.Cookies().Set(w, signin.CookieLang, string(l), langLifetime)
	}
	return see(w, ownPath(form.Get("back"), backPaths, frontPath))
}

func (p *Portal) static(of func(ui.Base) ui.Page) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return p.show(w, r, http.StatusOK, of(p.anyBase(w, r, "")))
	}
}
