package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

const (
	spendFlow = "flow"
	spendCode = "code"
)

// maxQuery bounds the query that a posted request is turned into.
const maxQuery = 12 << 10

// steps are the pages of the steps.
var steps = map[flow.Step]string{flow.SignIn: "/signin", flow.Factor: "/signin/factor", flow.Enrol: "/signin/enrol", flow.Consent: "/consent"}

// authorize begins a flow, or goes on with one that comes back from a step.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) error {
	if q := r.URL.Query(); r.Method != http.MethodPost && q.Has("flow") && !q.Has("client_id") {
		return p.resume(w, r, q.Get("flow"))
	}
	known := session.Browser(p.Sessions, p.Edge.Cookies.Device(r), p.Clock.Now())
	if err := p.Networks.TakeKnown(r.Context(), throttle.Begin, web.Info(r.Context()).IP, known); err != nil {
		return err
	}
	return p.begin(w, r)
}

// begin takes a new request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1).
func (p *Provider) begin(w http.ResponseWriter, r *http.Request) error {
	v, wrong, err := readAuthorize(r)
	if err != nil {
		return err
	}
	to, err := p.addressee(r.Context(), v, wrong)
	if err != nil {
		return p.noAddressee(r.Context(), v, err)
	}
	req, err := p.validate(r.Context(), to, v, wrong)
	if err != nil {
		return p.refuse(w, r, to, flow.Flow{}, err)
	}
	want, err := p.wants(r.Context(), req)
	if err != nil {
		return p.refuse(w, r, to, flow.Flow{}, err)
	}
	browser := p.Edge.Cookies.Flow(r)
	if browser == "" && r.Method == http.MethodPost {
		return again(w, r, "/authorize", v)
	}
	if browser == "" {
		browser = ident.NewToken(ident.FlowCookie)
		p.Edge.Cookies.SetFlow(w, browser, 0)
	}
	now := p.Clock.Now().Truncate(time.Microsecond)
	keep := url.Values{}
	for _, k := range keptParams {
		if one, ok := v[k]; ok {
			keep[k] = one
		}
	}
	f := flow.Flow{
		ID: ident.InOrder("flw"), Kind: flow.Authorization, Browser: ident.Hash(browser), Txn: ident.InOrder("txn"),
		StartedAt: now, ExpiresAt: now.Add(flow.Lifetime), Client: to.client.ID, Request: keep, Want: want,
	}
	return p.advance(w, r, f, req, false)
}

// keptParams are what is looked at again when a flow goes on; the rest became a flow.Want.
var keptParams = []string{"response_type", "client_id", "redirect_uri", "scope", "state", "response_mode", "nonce", "code_challenge", "code_challenge_method", "resource"}

// again turns a request that was posted from another site into a GET to path: our cookies do not come with such a post, and
// nothing is begun or ended without the browser that it belongs to.
func again(w http.ResponseWriter, r *http.Request, path string, v url.Values) error {
	q := v.Encode()
	if len(q) > maxQuery {
		return fault.New(fault.TooLarge, "too_large", "the request is too large")
	}
	http.Redirect(w, r, path+"?"+q, http.StatusSeeOther)
	return nil
}

// resume goes on with a flow of this browser.
func (p *Provider) resume(w http.ResponseWriter, r *http.Request, id string) error {
	if !ident.Valid("flw", id) {
		return flow.ErrNotFound
	}
	f, err := p.Flows.GetFlow(r.Context(), id)
	if err != nil {
		return err
	}
	if f.Kind != flow.Authorization {
		return flow.ErrNotFound
	}
	if !f.BelongsTo(p.Edge.Cookies.Flow(r)) {
		return flow.ErrForeign
	}
	to, err := p.addressee(r.Context(), f.Request, "")
	if err != nil {
		return p.noAddressee(r.Context(), f.Request, err)
	}
	req, err := p.validate(r.Context(), to, f.Request, "")
	if err != nil {
		return p.refuse(w, r, to, f, err)
	}
	return p.advance(w, r, f, req, true)
}

// advance does what the flow needs next. kept tells whether the flow is in the store already.
func (p *Provider) advance(w http.ResponseWriter, r *http.Request, f flow.Flow, req request, kept bool) error {
	now := p.Clock.Now()
	web.Info(r.Context()).Txn = f.Txn
	st, err := p.Gather.State(r.Context(), f, p.Edge.Cookies.Session(r), p.Edge.Cookies.Signin(r), now)
	if err != nil {
		return err
	}
	d := flow.Next(f, st, now)
	switch d.Step {
	case flow.Issue:
		return p.issue(w, r, f, req, st)
	case flow.Deny:
		return p.refuse(w, r, req.reply, f, problem(d.Error, plain(d.Reason)))
	}
	to, ok := steps[d.Step]
	if !ok {
		return fault.Of(errors.New("oauth: no page for step " + string(d.Step)))
	}
	if there := st.Session.ID != ""; !kept || (there && !f.Known) {
		f.Known = there
		if err := p.Flows.PutFlow(r.Context(), f); err != nil && (!kept || !errors.Is(err, flow.ErrStale)) {
			return err
		}
	}
	http.Redirect(w, r, to+"?flow="+f.ID, http.StatusSeeOther)
	return nil
}

// noAddressee records a request that nobody can be answered for, and lets the error become a page. What names no client is a
// stranger's.
func (p *Provider) noAddressee(ctx context.Context, v url.Values, err error) error {
	f := fault.Of(err)
	if f.Kind != fault.Invalid {
		return err
	}
	e := p.event(ctx, "authorize.refused", audit.Refused)
	e.Reason = f.Code
	e.Detail = map[string]string{"client_id": clip(v.Get("client_id")), "redirect_uri": clip(v.Get("redirect_uri"))}
	if web.Info(ctx).Client == "" {
		err = p.Strangers.Refused(ctx, e)
	} else {
		err = p.Commit.Commit(ctx, unit.Unit{Event: e})
	}
	if err != nil {
		return err
	}
	return f
}

// refuse ends a flow, if there is one, and answers the client with an error (RFC 6749 §4.1.2.1). An error that is no refusal
// is answered too: a client learns that it may try again.
func (p *Provider) refuse(w http.ResponseWriter, r *http.Request, to reply, f flow.Flow, err error) error {
	var pe *protoError
	outcome := audit.Refused
	if !errors.As(err, &pe) {
		web.Info(r.Context()).Client = to.client.ID
		fl := fault.Of(err)
		if fl.Kind != fault.Unavailable {
			return err
		}
		pe, outcome = &protoError{code: "temporarily_unavailable", why: plain(fl.Message), cause: err}, audit.Failed
	}
	e := p.event(r.Context(), "authorize.refused", outcome)
	e.Reason, e.Client, e.Flow, e.Txn = pe.auditReason(), to.client.ID, f.ID, f.Txn
	e.Detail = map[string]string{"why": pe.why}
	u := unit.Unit{Event: e}
	if f.ID != "" {
		u.Writes = []unit.Write{unit.Spend{Kind: spendFlow, Key: unit.Key(f.ID), Until: f.ExpiresAt}}
	}
	if err := p.Commit.Commit(r.Context(), u); err != nil {
		if unit.IsConflict(err) {
			return flow.ErrNotFound
		}
		return err
	}
	p.forget(r.Context(), f)
	return p.answer(w, r, to, url.Values{"error": {pe.code}, "error_description": {pe.why}})
}

// forget removes a flow that has ended. Its tombstone is what counts: a failure here changes nothing.
func (p *Provider) forget(ctx context.Context, f flow.Flow) {
	if f.Version > 0 {
		_ = p.Flows.DeleteFlow(ctx, f.ID)
	}
}

// clip keeps what a stranger sent to a size and alphabet that is fit for the audit.
func clip(s string) string { return plain(s[:min(len(s), 256)]) }

func has(list []string, s string) bool { return slices.Contains(list, s) }
