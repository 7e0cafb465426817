package portal

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/portal/caseapi"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/ui"
	"ellis.example/caseservice/internal/web"
)

// Config is what the portal needs. All but AccountURL are required.
type Config struct {
	PublicURL  *url.URL // origin under which browsers reach the portal; its host is the only one that is answered for
	Gate       *signin.Gate
	API        *caseapi.Client
	Renderer   *ui.Renderer
	Clock      clock.Clock
	CSRFKey    []byte // 256 bits
	AccountURL string // where people look after password and devices
}

// Portal answers for what applicants see.
type Portal struct {
	Config
	cross *http.CrossOriginProtection
}

// New returns the portal.
func New(cfg Config) *Portal { return &Portal{cfg, http.NewCrossOriginProtection()} }

// handler answers a request or says why it cannot.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is a path with what answers its methods; nil: the method is not allowed.
type route struct {
	path      string
	get, post handler
}

// routes is the whole surface.
func (p *Portal) routes() []route {
	return []route{
		{"/{$}", p.front, nil},
		{"/signin", p.signIn, nil},
		{"/callback", p.callback, nil},
		{"/signout", p.signOutForm, p.signOut},
		{"/signed-out", p.signedOut, nil},
		{"/cases", p.own(p.home), nil},
		{"/cases/{id}", p.own(p.one), nil},
		{"/claim", p.own(p.claimForm), p.claim},
		{"/claim/review", p.own(p.claimReview), nil},
		{"/claim/send", func(w http.ResponseWriter, _ *http.Request) error { return see(w, "/claim") }, p.claimSend},
		{"/language", nil, p.language},
		{"/help", p.static(func(b ui.Base) ui.Page { return ui.Help{Base: b} }), nil},
		{"/privacy", p.static(func(b ui.Base) ui.Page { return ui.Privacy{Base: b} }), nil},
		{"/not-government", p.static(func(b ui.Base) ui.Page { return ui.NotGovernment{Base: b} }), nil},
		nowhere,
	}
}

// nowhere stands for every path that is no other route.
var nowhere = route{"/", noPage, noPage}

func noPage(http.ResponseWriter, *http.Request) error { return errNoPage }

// Handler returns everything that the portal answers for, without the edge. Only the one way to write a path leads
// somewhere: the mux would answer the others itself, with a redirect that passes none of our checks.
func (p *Portal) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, t := range p.routes() {
		mux.Handle(t.path, p.page(t))
	}
	mux.Handle("/assets/", named(ui.Assets()))
	other := p.page(nowhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path.Clean(r.URL.Path) {
			other.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// The faults of routes.
var (
	errNoPage    = fault.New(fault.NotFound, "page_not_found", "there is no such page")
	errMethod    = fault.New(fault.Invalid, "method_not_allowed", "this address does not take the method")
	errCrossSite = fault.New(fault.Forbidden, "cross_site", "this form was sent from another site")
	errHost      = fault.New(fault.Invalid, "host_unknown", "the portal answers for its own host name only")
	errTooLarge  = fault.New(fault.TooLarge, "too_large", "what was sent is too large")
)

// named notes the template of the route for the log line and the metrics: never a path, which may carry identifiers.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Pattern != "" && r.Pattern != "/" { // which stands for everything else
			web.InfoOf(r).Route = strings.TrimSuffix(r.Pattern, "{$}")
		}
		next.ServeHTTP(w, r)
	})
}

// page serves a route: headers, host, method, forms of other sites, and errors as pages.
func (p *Portal) page(t route) http.Handler {
	return named(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.headers(w.Header())
		defer p.recovered(w, r)
		if err := p.dispatch(t, w, r); err != nil {
			web.InfoOf(r).Cause = err
			p.fail(w, r, err)
		}
	}))
}

func (p *Portal) dispatch(t route, w http.ResponseWriter, r *http.Request) error {
	if !strings.EqualFold(r.Host, p.PublicURL.Host) {
		return errHost
	}
	if err := p.cross.Check(r); err != nil {
		return errCrossSite.Because(err)
	}
	var allowed []string
	h := handler(nil)
	if t.get != nil {
		allowed = append(allowed, http.MethodGet, http.MethodHead)
	}
	if t.post != nil {
		allowed = append(allowed, http.MethodPost)
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h = t.get
	case http.MethodPost:
		h = t.post
	}
	if h == nil {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return errMethod
	}
	return h(w, r)
}

// recovered shows a page for a handler that panicked.
func (p *Portal) recovered(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	err := fmt.Errorf("panic: %v\n%s", v, debug.Stack())
	web.InfoOf(r).Cause = err
	p.fail(w, r, err)
}

var (
	sameOrigin = []string{"same-origin"}
	noSensor   = []string{"camera=(), geolocation=(), microphone=(), payment=(), usb=()"}
)

// headers sets what every page carries beyond the edge's. Browsers apply form-action to the redirects that follow a form:
// the claim form and sign-out lead to the issuer.
func (p *Portal) headers(h http.Header) {
	h["Cross-Origin-Opener-Policy"] = sameOrigin
	h["Permissions-Policy"] = noSensor
	h["Content-Security-Policy"] = []string{"default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'" + p.formTargets()}
}

func (p *Portal) formTargets() string {
	var b strings.Builder
	for _, origin := range p.Gate.Origins() {
		if !strings.ContainsAny(origin, " ;,'\"\r\n") {
			b.WriteString(" " + origin)
		}
	}
	return b.String()
}

// see answers 303: the browser gets what is next, whatever it sent.
func see(w http.ResponseWriter, to string) error {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// visited is a handler for somebody who is signed in.
type visited func(w http.ResponseWriter, r *http.Request, v signin.Visit) error

// own serves h to people who are signed in.
func (p *Portal) own(h visited) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, err := p.Gate.Current(r)
		if err != nil {
			return err
		}
		return h(w, r, v)
	}
}
