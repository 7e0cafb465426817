package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/ory/fosite"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

// Lifetimes. Those of refresh families are grant's.
const (
	CodeLifetime        = 60 * time.Second
	AccessTokenLifetime = 5 * time.Minute
	IDTokenLifetime     = 10 * time.Minute
)

// Keys signs, verifies and publishes. It is implemented by keyring.Ring.
type Keys interface {
	// Sign returns claims as a compact JWS by the active key of alg.
	Sign(ctx context.Context, alg, typ string, claims any) (string, error)
	// Verify returns the claims of a token that a published key signed with one of the typ values.
	Verify(ctx context.Context, compact string, types ...string) ([]byte, error)
	// Read is Verify for what is shown again: what read makes of the claims is remembered, and shared.
	Read(ctx context.Context, compact, typ string, read func(claims []byte) any) (any, error)
	// VerifyOld is Verify with retired keys too.
	VerifyOld(ctx context.Context, compact string, types ...string) ([]byte, error)
	// JWKS returns the published set and its entity tag.
	JWKS(ctx context.Context) (body []byte, etag string, err error)
	// Refresh looks for changes of the keys now.
	Refresh(ctx context.Context) error
	// Pairwise derives the identifier that an audience knows something by.
	Pairwise(kind, audience, internal string) string
}

// Gatherer collects what flow.Next decides on. It is implemented by flow.Gatherer.
type Gatherer interface {
	State(ctx context.Context, f flow.Flow, sessionCookie, signinCookie string, now time.Time) (flow.State, error)
}

// SignOuter ends a session with everything that stands on it. It is implemented by acts.Acts.
type SignOuter interface {
	SignOut(ctx context.Context, s session.Session, e audit.Event) error
}

// Deps are what a Provider needs. All are required.
type Deps struct {
	Issuer        *url.URL
	Clients       *client.Cache
	APIs          *api.Cache
	Keys          Keys
	Grants        grant.Reader
	Spent         Tombstones
	Commit        unit.Committer
	Flows         flow.Store
	Codes         grant.CodeStore
	Gather        Gatherer
	Accounts      account.Reader
	Sessions      session.Reader
	Acts          SignOuter
	Networks      *throttle.Networks
	Strangers     *throttle.Strangers
	Edge          *web.Edge
	Show          func(w http.ResponseWriter, r *http.Request, status int, p ui.Page) error // in the reader's language
	Clock         clock.Clock
	Feed          Follower
	CountPoll     func(outcome string)      // of the feed
	ObserveDelay  func(since time.Duration) // between the commit of an event and its answer
	RefreshSecret []byte                    // 256 bits: seals successors for the retry window
}

// Provider answers the protocol's endpoints. It is safe for concurrent use.
type Provider struct {
	Deps
	issuer    string // exactly as tokens name it
	fosite    fosite.OAuth2Provider
	discovery *web.Document
	nobody    *client.Entry // stands in for unknown clients, so that they take the same time
}

// New returns a provider of one issuer.
func New(d Deps) (*Provider, error) {
	missing := d.Issuer == nil || d.Clients == nil || d.APIs == nil || d.Keys == nil || d.Grants == nil || d.Spent == nil || d.Commit == nil ||
		d.Flows == nil || d.Codes == nil || d.Gather == nil || d.Accounts == nil || d.Sessions == nil || d.Acts == nil || d.Edge == nil ||
		d.Show == nil || d.Clock == nil || d.Networks == nil || d.Strangers == nil ||
		d.Feed == nil || d.CountPoll == nil || d.ObserveDelay == nil
	if missing {
		return nil, errors.New("oauth: a dependency is missing")
	}
	if len(d.RefreshSecret) < 32 {
		return nil, errors.New("oauth: the refresh secret has fewer than 256 bits")
	}
	p := &Provider{Deps: d, issuer: strings.TrimSuffix(d.Issuer.String(), "/")}
	_, hash := client.NewSecret()
	p.nobody = &client.Entry{Client: client.Client{TokenEndpointAuth: client.AuthBasic, SecretHash: hash}}
	p.fosite = p.newFosite()
	var err error
	p.discovery, err = p.discoveryDocument()
	return p, err
}

// Mount adds the routes.
func (p *Provider) Mount(r *mux.Router) {
	type m = map[string]web.Handler
	const get, post = http.MethodGet, http.MethodPost
	for path, d := range map[string]*web.Document{
		"/.well-known/openid-configuration": p.discovery, "/.well-known/oauth-authorization-server": p.discovery, "/jwks": p.keysDocument(),
	} {
		p.Edge.Publish(path, d)
		r.Handle(path, p.open(m{get: d.Serve}))
	}
	r.Handle("/token", p.browser(m{post: p.token}))
	r.Handle("/userinfo", p.browser(m{get: p.userinfo, post: p.userinfo}))
	r.Handle("/revoke", p.browser(m{post: p.revoke}))
	r.Handle("/introspect", p.Edge.OAuth(methods(m{post: p.introspect})))
	r.Handle("/events/poll", p.Edge.Events(methods(m{post: p.eventsPoll})))
	r.Handle("/authorize", p.page(m{get: p.authorize, post: p.authorize}, p.Edge.OpenPage))
	r.Handle("/logout", p.page(m{get: p.logout, post: p.logout}, p.Edge.OpenPage))
	r.Handle("/logout/confirm", p.page(m{post: p.logoutConfirm}, p.Edge.Page))
}
