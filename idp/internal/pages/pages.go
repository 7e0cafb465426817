package pages

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/acts"
	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/i18n"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

// Store is what the pages read.
type Store interface {
	account.Reader
	account.LinkReader
	factor.Reader
	session.Reader
	ConsentsOf(ctx context.Context, account string) ([]grant.Consent, error)
	// EventsOf returns events that concern an identifier, newest first, older than before (zero: now).
	EventsOf(ctx context.Context, ref string, before time.Time, limit int) ([]audit.Stored, error)
}

// Volatile keeps what is shown once.
type Volatile interface {
	Put(ctx context.Context, kind, key string, value []byte, ttl time.Duration) error
	Get(ctx context.Context, kind, key string) (value []byte, ok bool, err error)
	Delete(ctx context.Context, kind, key string) error
}

// Deps are what the pages need. All are required.
type Deps struct {
	Issuer      *url.URL
	Edge        *web.Edge
	Renderer    *ui.Renderer
	Clock       clock.Clock
	Store       Store
	Commit      unit.Committer
	Flows       flow.Store
	Volatile    Volatile
	Gather      flow.Gatherer
	Clients     *client.Cache
	APIs        *api.Cache
	Passwords   *factor.Passwords
	Seal        *seal.Sealer
	RecoveryKey []byte // hashes recovery codes; 256 bits
	Limiter     *throttle.Limiter
	Networks    *throttle.Networks
	Strangers   *throttle.Strangers
	Acts        *acts.Acts
	Wake        func() // mail was queued
	Name        string // what the provider calls itself, also in authenticator apps
}

// Pages answers for what people see.
type Pages struct{ Deps }

// New returns the pages.
func New(d Deps) *Pages { return &Pages{d} }

// Mount adds the routes.
func (p *Pages) Mount(r *mux.Router) {
	both := func(path string, get, post web.Handler) {
		r.Handle(path, p.Edge.Page(get)).Methods(http.MethodGet, http.MethodHead)
		allow := "GET, HEAD, OPTIONS"
		if post != nil {
			r.Handle(path, p.Edge.Page(post)).Methods(http.MethodPost)
			allow += ", POST"
		}
		r.Handle(path, p.Edge.OnlyMethods(allow))
	}
	both("/signup", p.signupStart, p.limited(p.signupMail))
	both("/signup/check", p.signupCheck, nil)
	both("/signup/continue", p.signupLanding, p.limited(p.signupProve))
	both("/signup/details", p.signupDetails, p.limited(p.signupCreate))
	both("/signin", p.signin, p.limited(p.signinPassword))
	both("/signin/factor", p.factorForm, p.limited(p.factorCheck))
	both("/signin/recovery", p.recoveryForm, p.limited(p.recoveryCheck))
	both("/signin/enrol", p.flowEnrol, p.flowEnrolFinish)
	both("/signin/offer", p.flowOffer, nil)
	both("/signin/codes", p.flowCodes, p.flowCodesSaved)
	both("/consent", p.consent, p.consentDecide)
	both("/continue", p.dispatch, nil)
	p.mountAccount(both)
	both("/signout", p.signoutForm, p.signout)
	both("/signed-out", p.signedOut, nil)
	r.Handle("/language", p.Edge.Page(p.language)).Methods(http.MethodPost)
	r.Handle("/language", p.Edge.OnlyMethods("OPTIONS, POST"))
	both("/help", p.static(func(b ui.Base) ui.Page { return ui.Help{Base: b} }), nil)
	both("/privacy", p.static(func(b ui.Base) ui.Page { return ui.Privacy{Base: b} }), nil)
	both("/not-government", p.static(func(b ui.Base) ui.Page { return ui.NotGovernment{Base: b} }), nil)
	both("/", func(w http.ResponseWriter, _ *http.Request) error { return see(w, "/account") }, nil)
	r.PathPrefix("/assets/").Handler(ui.Assets())
}

// limited serves a form of somebody who is not signed in: one network sends only so many.
func (p *Pages) limited(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := p.Networks.TakeKnown(r.Context(), throttle.Form, web.Info(r.Context()).IP, p.browser(r)); err != nil {
			return err
		}
		return h(w, r)
	}
}

func (p *Pages) mountAccount(both func(string, web.Handler, web.Handler)) {
	both("/account", p.own(p.home), nil)
	both("/account/profile", p.own(p.profile), p.own(p.profileSave))
	both("/account/password", p.recent(p.password), p.recent(p.passwordChange))
	both("/account/factors", p.own(p.factors), nil)
	both("/account/factors/enrol", p.recent(p.enrol), p.recent(p.enrolFinish))
	both("/account/factors/remove", p.recent(p.removeFactor), p.recent(p.removeFactorDo))
	both("/account/recovery-codes", p.recent(p.renewCodes), p.recent(p.renewCodesDo))
	both("/account/recovery-codes/show", p.own(p.showCodes), p.own(p.codesSaved))
	both("/account/sessions", p.own(p.sessions), nil)
	both("/account/sessions/end", p.own(func(w http.ResponseWriter, _ *http.Request, _ person) error { return see(w, "/account/sessions") }), p.own(p.endSessions))
	both("/account/apps", p.own(p.apps), nil)
	both("/account/apps/withdraw", p.own(func(w http.ResponseWriter, _ *http.Request, _ person) error { return see(w, "/account/apps") }), p.own(p.withdraw))
	both("/account/activity", p.own(p.activity), nil)
}

// see answers 303: the browser gets what is next, whatever it sent.
func see(w http.ResponseWriter, to string) error {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// Show writes a page in the reader's language.
func (p *Pages) Show(w http.ResponseWriter, r *http.Request, status int, page ui.Page) error {
	return p.show(w, r, p.lang(r, nil), status, page)
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, lang i18n.Lang, status int, page ui.Page) error {
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
		_, _ = w.Write(b.Bytes()) // the client may be gone
	}
	return nil
}

// lang chooses the language: what the request's client asked for, what the person chose, what the browser prefers. f is
// the flow of the request; nil: the one that its address names, if any.
func (p *Pages) lang(r *http.Request, f *flow.Flow) i18n.Lang {
	q := r.URL.Query()
	asked := q.Get("ui_locales")
	if f == nil && q.Get("flow") != "" {
		f = p.flowOf(r, q.Get("flow"))
	}
	if f != nil && asked == "" {
		asked = strings.Join(f.Want.Locales, " ")
	}
	return i18n.Negotiate(asked, p.Edge.Cookies.Lang(r), r.Header.Get("Accept-Language"))
}

// flowOf returns a flow of this browser, or nil.
func (p *Pages) flowOf(r *http.Request, id string) *flow.Flow {
	f, err := p.Flows.GetFlow(r.Context(), id)
	if err != nil || !f.BelongsTo(p.Edge.Cookies.Flow(r)) {
		return nil
	}
	return &f
}

// setLang remembers the language that a person chose. It has the last word: the flow that they are in forgets what its
// client asked for.
func (p *Pages) setLang(w http.ResponseWriter, r *http.Request, lang, flowID string) error {
	p.Edge.Cookies.SetLang(w, lang)
	f := p.flowOf(r, flowID)
	if f == nil || len(f.Want.Locales) == 0 {
		return nil
	}
	f.Want.Locales = nil
	return p.save(r.Context(), *f)
}

// base is the part of a page that is the same everywhere. purpose names what its form may do.
func (p *Pages) base(w http.ResponseWriter, r *http.Request, purpose string) ui.Base {
	return ui.Base{CSRF: p.Edge.CSRF(w, r, purpose), Here: r.URL.RequestURI(), LanguageCSRF: p.Edge.CSRF(w, r, "language")}
}

// event begins an audit event with what is known of the request.
func (p *Pages) event(r *http.Request, kind string, o audit.Outcome, reason string) audit.Event {
	info := web.Info(r.Context())
	return audit.Event{Type: kind, Outcome: o, Reason: reason, IP: info.IP, Request: info.ID}
}

func (p *Pages) static(of func(ui.Base) ui.Page) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		b := p.base(w, r, "static")
		if who, ok, err := p.whoIs(r); err == nil && ok {
			b.SignedIn = &ui.SignedIn{Name: who.Account.DisplayName()}
		}
		return p.Show(w, r, http.StatusOK, of(b))
	}
}

// language remembers the chosen language and goes back to the page.
func (p *Pages) language(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	if err := p.Edge.CheckCSRF(r, "language"); err != nil {
		return err
	}
	back, err := url.Parse(ownPath(form.Get("back")))
	if err != nil {
		back = &url.URL{Path: "/account"}
	}
	q := back.Query()
	if l, ok := i18n.Parse(form.Get("lang")); ok {
		if err := p.setLang(w, r, string(l), q.Get("flow")); err != nil {
			return err
		}
		if q.Has("ui_locales") {
			q.Del("ui_locales")
			back.RawQuery = q.Encode()
		}
	}
	return see(w, ownPath(back.String()))
}

// ownPath keeps redirects on this origin: a path that every browser reads as one.
func ownPath(s string) string {
	if len(s) < 1 || len(s) > 2048 || s[0] != '/' || strings.HasPrefix(s, "//") || strings.ContainsAny(s, "\\\r\n\t\x00") {
		return "/account"
	}
	return s
}

// path makes a path with a flow's id, and nothing else in its query.
func path(to, flowID string) string {
	if flowID == "" {
		return to
	}
	return to + "?flow=" + url.QueryEscape(flowID)
}
