package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/web"
)

// flowCookieLifetime is how long a browser keeps the cookie that binds flows to it.
const flowCookieLifetime = 24 * time.Hour

// person is who is signed in.
type person struct {
	Account account.Account
	Session session.Session
}

// step is a flow in the hands of one of its pages.
type step struct {
	flow.Flow
	State  flow.State
	Client *client.Entry // nil for a visit
}

// load reads the flow that the request names and what is known about the person. Errors: flow.ErrNotFound, ErrForeign.
func (p *Pages) load(w http.ResponseWriter, r *http.Request) (step, error) {
	ctx := r.Context()
	f, err := p.Flows.GetFlow(ctx, r.URL.Query().Get("flow"))
	if err != nil {
		return step{}, err
	}
	if !f.BelongsTo(p.Edge.Cookies.Flow(r)) {
		return step{}, flow.ErrForeign
	}
	info := web.Info(ctx)
	info.Client, info.Txn = f.Client, f.Txn
	s := step{Flow: f}
	if f.Kind == flow.Authorization {
		if s.Client, err = p.Clients.Get(ctx, f.Client); err != nil {
			return step{}, flow.ErrNotFound.Because(err)
		}
		web.AllowFormTarget(w, web.FormTarget(f.Request.Get("redirect_uri")))
	}
	s.State, err = p.Gather.State(ctx, f, p.Edge.Cookies.Session(r), p.Edge.Cookies.Signin(r), p.Clock.Now())
	return s, err
}

// at is load for the page of one step: ok is false when the flow needs another one, and the answer is on its way there.
func (p *Pages) at(w http.ResponseWriter, r *http.Request, want flow.Step) (s step, ok bool, err error) {
	s, err = p.load(w, r)
	if err != nil {
		return s, false, err
	}
	if flow.Next(s.Flow, s.State, p.Clock.Now()).Step != want {
		return s, false, p.back(w, s.Flow)
	}
	return s, true, nil
}

// back answers with the way to the dispatcher of the flow.
func (p *Pages) back(w http.ResponseWriter, f flow.Flow) error { return see(w, dispatcher(f)) }

func dispatcher(f flow.Flow) string {
	if f.Kind == flow.Authorization {
		return path("/authorize", f.ID)
	}
	return path("/continue", f.ID)
}

// save stores the next state of a flow. A flow that moved on in another tab is no error: the dispatcher shows where it is.
func (p *Pages) save(ctx context.Context, f flow.Flow) error {
	err := p.Flows.PutFlow(ctx, f)
	if errors.Is(err, flow.ErrStale) {
		return nil
	}
	return err
}

// app is the relying party of a flow as people see it, or nil.
func (s step) app() *ui.App {
	if s.Client == nil {
		return nil
	}
	host := ""
	if u, err := url.Parse(s.Request.Get("redirect_uri")); err == nil {
		host = u.Hostname()
		if host == "" {
			host = u.Scheme
		}
	}
	return &ui.App{Name: s.Client.Name, Host: host}
}

// visit begins a flow that leads to a page of this provider, and answers with the way to its first step.
func (p *Pages) visit(w http.ResponseWriter, r *http.Request, to string, want flow.Want) error {
	if err := p.Networks.TakeKnown(r.Context(), throttle.Begin, web.Info(r.Context()).IP, p.browser(r)); err != nil {
		return err
	}
	now := p.Clock.Now()
	token := p.Edge.Cookies.Flow(r)
	if token == "" {
		token = ident.NewToken(ident.FlowCookie)
		p.Edge.Cookies.SetFlow(w, token, flowCookieLifetime)
	}
	f := flow.Flow{
		ID: ident.InOrder("flw"), Kind: flow.Visit, Browser: ident.Hash(token), Txn: ident.InOrder("txn"),
		StartedAt: now, ExpiresAt: now.Add(flow.Lifetime), ReturnTo: ownPath(to), Want: want, Known: want.Account != "",
	}
	if err := p.Flows.PutFlow(r.Context(), f); err != nil {
		return err
	}
	return p.back(w, f)
}

// dispatch is the one entry and exit of visits.
func (p *Pages) dispatch(w http.ResponseWriter, r *http.Request) error {
	s, err := p.load(w, r)
	if err != nil {
		return err
	}
	if s.Kind != flow.Visit {
		return p.back(w, s.Flow)
	}
	switch d := flow.Next(s.Flow, s.State, p.Clock.Now()); d.Step {
	case flow.SignIn:
		return see(w, path("/signin", s.ID))
	case flow.Factor:
		return see(w, path("/signin/factor", s.ID))
	case flow.Enrol:
		return see(w, path("/signin/enrol", s.ID))
	case flow.Issue:
		if err := p.Flows.DeleteFlow(r.Context(), s.ID); err != nil {
			return err
		}
		return see(w, s.ReturnTo)
	default:
		return fault.New(fault.Forbidden, d.Error, d.Reason)
	}
}

// whoIs returns who is signed in, if anybody is whose session proves what the account asks for.
func (p *Pages) whoIs(r *http.Request) (person, bool, error) {
	st, err := p.Gather.State(r.Context(), flow.Flow{Kind: flow.Visit}, p.Edge.Cookies.Session(r), "", p.Clock.Now())
	if err != nil || st.Session.ID == "" {
		return person{}, false, err
	}
	good := st.Account.MaySignIn() && (!st.HasFactor || st.Session.Satisfies(session.AAL2))
	return person{st.Account, st.Session}, good, nil
}

type ownHandler func(w http.ResponseWriter, r *http.Request, who person) error

// own serves h to who is signed in, and leads others through a sign-in first.
func (p *Pages) own(h ownHandler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, ok, err := p.whoIs(r)
		if err != nil {
			return err
		}
		if !ok {
			return p.visit(w, r, landing(r), flow.Want{})
		}
		if err = p.touch(r.Context(), who.Session); err == nil {
			err = h(w, r, who)
		}
		if endedMeanwhile(err) {
			return p.visit(w, r, landing(r), flow.Want{})
		}
		return err
	}
}

// recentFor is how long a sign-in counts as recent enough to change how the account is protected.
const recentFor = 10 * time.Minute

// recent serves h to who signed in a short while ago, and asks others to do it again.
func (p *Pages) recent(h ownHandler) web.Handler {
	return p.own(func(w http.ResponseWriter, r *http.Request, who person) error {
		if p.Clock.Now().Sub(who.Session.AuthTime) > recentFor {
			return p.visit(w, r, landing(r), flow.Want{Prompts: []string{"login"}, Account: who.Account.ID, LoginHint: who.Account.Email})
		}
		return h(w, r, who)
	})
}

// landing is where a sign-in leads back to: the page that was asked for; a form that was sent is shown again.
func landing(r *http.Request) string {
	if slices.Contains([]string{http.MethodGet, http.MethodHead}, r.Method) {
		return r.URL.RequestURI()
	}
	return r.URL.Path
}

// ShowFault shows a fault to a person: what happened and what to do.
func (p *Pages) ShowFault(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	b := ui.Base{LanguageCSRF: p.Edge.CSRF(w, r, "language")}
	support := web.Info(r.Context()).ID
	var page ui.Page
	switch {
	case f.Code == flow.ErrNotFound.Code:
		page = ui.FlowExpired{Base: b, RestartURL: "/signin"}
	case f.Kind == fault.TooMany:
		page = ui.RateLimited{Base: b, Wait: f.RetryAfter, Support: support}
	case f.Kind == fault.Unavailable:
		page = ui.Unavailable{Base: b, Wait: f.RetryAfter, Support: support}
	case f.Kind == fault.Internal:
		page = ui.ErrorPage{Base: b, Status: http.StatusInternalServerError, Support: support}
	default:
		page = ui.ErrorPage{Base: b, Status: web.StatusOf(f), Code: f.Code, Developer: f.Message, Support: support}
	}
	if err := p.Show(w, r, web.StatusOf(f), page); err != nil {
		http.Error(w, "Something went wrong. Support code: "+support, http.StatusInternalServerError)
	}
}
