package api

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/unit"
	"ellis.example/caseservice/internal/web"
)

// Verifier turns an access token into who it speaks of.
type Verifier interface {
	// Verify returns the caller. Errors: a fault of kind Unauthenticated with what is wrong with the token, or of kind
	// Unavailable when nobody can tell at the moment.
	Verify(ctx context.Context, token string) (*cases.Caller, error)
}

// Options configure an API.
type Options struct {
	Issuer   string // issuer identifier, which the metadata names
	Audience string // identifier of this API (RFC 8707): the URL below which it is reached
	Key      []byte // 32 bytes that no database holds: claim codes are MACs under it
	Tokens   Verifier
	Cases    cases.Reader
	Claims   cases.ClaimReader
	Commit   unit.Committer
	Clock    clock.Clock // clock.System when nil
}

// API is the case API as an http.Handler. It stands behind web.Edge.
type API struct {
	tokens  Verifier
	cases   cases.Reader
	claims  cases.ClaimReader
	commit  unit.Committer
	clock   clock.Clock
	codeKey []byte
	seals   sealer
	words   *lexicon
	counts  snapshot

	challenge challenger
	base      string            // path of the audience, "" or "/…" without a slash at its end
	exact     map[string]*route // routes without a variable, by path
	one       *route            // …/v1/cases/{id}
	history   *route            // …/v1/cases/{id}/events
}

// route is one line of the table: what a path means and which method it takes.
type route struct {
	template string // for logs and metrics
	method   string // GET (HEAD with it) or POST
	act      cases.Act
	handle   func(*call) (reply, error)
	document *document // instead of act and handle: a public document
}

// New returns the API. It asks neither the issuer nor the store anything.
func New(o Options) (*API, error) {
	u, err := url.Parse(o.Audience)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("audience: %q is not an absolute URL", o.Audience)
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	key, err := hkdf.Key(sha256.New, o.Key, nil, "ellis case api seals v1", sha256.Size)
	if err != nil {
		return nil, err
	}
	words, err := newLexicon(cases.Workflows())
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(u.EscapedPath(), "/")
	metadata := wellKnown + base
	a := &API{
		tokens: o.Tokens, cases: o.Cases, claims: o.Claims, commit: o.Commit, clock: o.Clock, codeKey: o.Key,
		seals: sealer{key}, words: words, base: base, challenge: newChallenger(u.Scheme + "://" + u.Host + metadata),
	}
	return a, a.mount(o, metadata)
}

// mount fills the table of routes.
func (a *API) mount(o Options, metadata string) error {
	about, err := describe(o)
	if err != nil {
		return err
	}
	get := func(template string, act cases.Act, handle func(*call) (reply, error)) *route {
		return &route{template: template, method: http.MethodGet, act: act, handle: handle}
	}
	public := func(template string, d *document) *route {
		return &route{template: template, method: http.MethodGet, document: d}
	}
	meta := public(wellKnown, about.metadata)
	a.one = get("/v1/cases/{id}", cases.ActRead, (*call).get)
	a.history = get("/v1/cases/{id}/events", cases.ActEvents, (*call).events)
	a.exact = map[string]*route{
		a.base + "/v1/cases":     get("/v1/cases", cases.ActList, (*call).list),
		a.base + "/v1/stats":     get("/v1/stats", cases.ActStats, (*call).stats),
		a.base + "/v1/claims":    {template: "/v1/claims", method: http.MethodPost, act: cases.ActClaim, handle: (*call).claim},
		a.base + "/openapi.yaml": public("/openapi.yaml", about.yaml),
		a.base + "/openapi.json": public("/openapi.json", about.json),
		a.base + wellKnown:       meta,
		metadata:                 meta, // RFC 9728 §3.1 puts the well-known part before the path
	}
	return nil
}

// find returns the route of a URL and the identifier in it. Paths are compared as they came: nothing is cleaned,
// redirected or decoded, so that no proxy in front can mean another resource than we do.
func (a *API) find(u *url.URL) (rt *route, id string) {
	if u.RawPath != "" { // an encoding that nobody needs
		return nil, ""
	}
	if rt := a.exact[u.Path]; rt != nil {
		return rt, ""
	}
	rest, ok := strings.CutPrefix(u.Path, a.base)
	if !ok {
		return nil, ""
	}
	if rest, ok = strings.CutPrefix(rest, "/v1/cases/"); !ok || rest == "" {
		return nil, ""
	}
	id, tail, more := strings.Cut(rest, "/")
	switch {
	case id == "":
		return nil, ""
	case !more:
		return a.one, id
	case tail == "events":
		return a.history, id
	}
	return nil, ""
}

var (
	errNoRoute  = fault.New(fault.NotFound, "no_such_route", "there is nothing at this path: /openapi.yaml lists what there is")
	errNoMethod = fault.New(fault.Invalid, "method_not_allowed", "this path takes the methods of the Allow header")
)

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rt, id := a.find(r.URL)
	if rt == nil {
		a.fail(w, r, "", errNoRoute)
		return
	}
	web.InfoOf(r).Route = rt.template
	switch {
	case !rt.takes(r.Method):
		w.Header().Set("Allow", rt.allow())
		a.fail(w, r, "", errNoMethod)
	case rt.document != nil:
		rt.document.ServeHTTP(w, r)
	default:
		a.access(w, r, rt, id)
	}
}

func (rt *route) takes(method string) bool {
	return method == rt.method || rt.method == http.MethodGet && method == http.MethodHead
}

func (rt *route) allow() string {
	if rt.method == http.MethodGet {
		return "GET, HEAD"
	}
	return rt.method
}
