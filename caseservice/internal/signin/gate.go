package signin

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/rate"
)

// Scopes are what the portal asks for: an ID token, a refresh token to last as long as the session, and the case API. It
// asks for no profile: the portal has no use for a name.
func Scopes() []string {
	return []string{oidc.ScopeOpenID, oidc.ScopeOfflineAccess, "cases:read", "cases:claim"}
}

// Config is what a Gate needs. Issuer, ClientID, ClientSecret, RedirectURI, SignedOutURI, Resource, Store and Clock are
// required.
type Config struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	RedirectURI  string // where the issuer sends people back
	SignedOutURI string // where it sends them after sign-out
	Resource     string // audience of the case API (RFC 8707)
	Cookies      Cookies
	Store        Store
	Clock        clock.Clock
	// Limit is how many sign-ins one network may begin, and how many it may finish; the zero value limits nothing.
	Limit rate.Limit
	// Proxies are networks whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// Observe is told what became of sign-ins and renewals ("signin", "renewal"; "ok" or a fault's code); nil: nobody is.
	Observe func(what, outcome string)
	// Transport carries what the issuer is asked; nil: http.DefaultTransport.
	Transport http.RoundTripper
}

// Gate signs people in and out, and says who they are. It is safe for concurrent use.
type Gate struct {
	cfg      Config
	provider *provider
	seal     sealer
	renewals singleflight.Group
}

// New returns a gate. It does not speak to the issuer yet.
func New(cfg Config) *Gate {
	if cfg.Observe == nil {
		cfg.Observe = func(string, string) {}
	}
	if cfg.Transport == nil {
		cfg.Transport = http.DefaultTransport
	}
	return &Gate{cfg: cfg, seal: newSealer(cfg.ClientID, cfg.ClientSecret), provider: &provider{issuer: cfg.Issuer, http: newHTTP(cfg.Transport), clock: cfg.Clock}}
}

// Cookies returns the portal's cookies.
func (g *Gate) Cookies() Cookies { return g.cfg.Cookies }

// WarmUp fetches the issuer's metadata, trying again until it succeeds or ctx ends.
func (g *Gate) WarmUp(ctx context.Context) {
	pause := time.NewTicker(metadataPause)
	defer pause.Stop()
	for {
		if _, err := g.provider.get(ctx); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

// Reachable reports whether the issuer answered when it was last asked; true before it ever was.
func (g *Gate) Reachable() bool { return g.provider.lastFailure() == nil }

// Origins are those that a form of the portal may lead to: where people sign in and out.
func (g *Gate) Origins() []string {
	g.provider.mu.Lock()
	m := g.provider.known
	g.provider.mu.Unlock()
	all := []string{g.cfg.Issuer}
	if m != nil {
		all = append(all, m.endpoint.AuthURL, m.EndSession)
	}
	var out []string
	for _, s := range all {
		if u, err := url.Parse(s); err == nil && u.Host != "" && !slices.Contains(out, u.Scheme+"://"+u.Host) {
			out = append(out, u.Scheme+"://"+u.Host)
		}
	}
	return out
}

// Visit is a request of somebody who is signed in.
type Visit struct {
	Key Key
	Session
}

// seenEvery is how often a sign of life is written down. Of many requests at once one is: each write would make the others
// begin anew.
const seenEvery = time.Second

// Current returns who is signed in with this browser, and counts the request as a sign of life. Errors: ErrNoSession,
// ErrSessionEnded; with that the visit names the subject whose session it was, if the store still knows.
func (g *Gate) Current(r *http.Request) (Visit, error) {
	cookie := g.cfg.Cookies.Session(r)
	if cookie == "" {
		return Visit{}, ErrNoSession
	}
	k, now := Key(ident.Hash(cookie)), g.cfg.Clock.Now()
	dead := false
	s, err := g.cfg.Store.UpdateSession(r.Context(), k, func(s *Session) {
		// One that lies ahead is corrected: it was written by a clock that was fast, and would keep the session alive until then.
		if dead = !s.Alive(now); !dead && now.Sub(s.LastSeen).Abs() >= seenEvery {
			s.LastSeen = now
		}
	})
	switch {
	case errors.Is(err, ErrNoSession):
		return Visit{}, ErrSessionEnded
	case err != nil:
		return Visit{}, err
	case dead:
		g.drop(r.Context(), k)
		return Visit{Session: Session{Subject: s.Subject}}, ErrSessionEnded
	}
	return Visit{k, s}, nil
}

// Update changes the session of a visit. Errors: ErrSessionEnded.
func (g *Gate) Update(ctx context.Context, v Visit, change func(*Session)) error {
	_, err := g.cfg.Store.UpdateSession(ctx, v.Key, change)
	if errors.Is(err, ErrNoSession) {
		return ErrSessionEnded
	}
	return err
}

// Request is what a sign-in has to bring.
type Request struct {
	ReturnTo string         // path of this origin that the person wants to see
	Locale   string         // language of the page that they come from
	ACR      []string       // acr_values, of which one has to come back
	MaxAge   *time.Duration // how old the sign-in may be
	Subject  string         // who has to come back; empty: anybody
	Claim    *Claim         // taken over into the new session, if that is its owner's
}

// Begin starts a sign-in and returns where the browser has to go. Errors: ErrCrowded, ErrUnavailable.
func (g *Gate) Begin(w http.ResponseWriter, r *http.Request, q Request) (string, error) {
	if err := g.count(r.Context(), countBegin, r); err != nil {
		return "", err
	}
	m, err := g.provider.get(r.Context())
	if err != nil {
		return "", err
	}
	state := oauth2.GenerateVerifier() // 256 bits, like the next two
	a := Attempt{
		StartedAt: g.cfg.Clock.Now(), Nonce: oauth2.GenerateVerifier(), Verifier: oauth2.GenerateVerifier(),
		ReturnTo: q.ReturnTo, ACR: q.ACR, MaxAge: q.MaxAge, Subject: q.Subject, Claim: q.Claim,
	}
	if err := g.keep(w, r, state, a); err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(a.Verifier), oidc.Nonce(a.Nonce), oauth2.SetAuthURLParam("resource", g.cfg.Resource)}
	for name, value := range map[string]string{"ui_locales": q.Locale, "acr_values": strings.Join(q.ACR, " "), "max_age": seconds(q.MaxAge)} {
		if value != "" {
			options = append(options, oauth2.SetAuthURLParam(name, value))
		}
	}
	return g.oauth(m).AuthCodeURL(state, options...), nil
}

func seconds(d *time.Duration) string {
	if d == nil {
		return ""
	}
	return strconv.Itoa(int(*d / time.Second))
}

func (g *Gate) oauth(m *metadata) *oauth2.Config {
	return &oauth2.Config{ClientID: g.cfg.ClientID, ClientSecret: g.cfg.ClientSecret, Endpoint: m.endpoint, RedirectURL: g.cfg.RedirectURI, Scopes: Scopes()}
}

// Finish reads the issuer's answer (RFC 6749 §4.1.2, RFC 9207) and signs the person in. The attempt is returned with the
// faults of answers that belong to one, so that the page can offer a way on. Errors: those of this package.
func (g *Gate) Finish(w http.ResponseWriter, r *http.Request) (Attempt, error) {
	a, err := g.finish(w, r)
	outcome := "ok"
	if err != nil {
		outcome = fault.Of(err).Code
	}
	g.cfg.Observe("signin", outcome)
	return a, err
}

func (g *Gate) finish(w http.ResponseWriter, r *http.Request) (Attempt, error) {
	ctx := r.Context()
	q, err := answer(r)
	if err != nil {
		return Attempt{}, err
	}
	k, a, err := g.attempt(w, r, q.Get("state"))
	if err != nil {
		return Attempt{}, err
	}
	m, err := g.provider.get(ctx)
	if err != nil {
		return a, err
	}
	if iss := q.Get("iss"); (iss != "" || m.SendsIss) && iss != g.cfg.Issuer { // mix-up: RFC 9207 §2.4
		return a, ErrMismatch.Because(errors.New("iss is not the issuer that was asked"))
	}
	if code := q.Get("error"); code != "" {
		return a, refusal(code)
	}
	if q.Get("code") == "" {
		return a, ErrMismatch.Because(errors.New("neither code nor error"))
	}
	if err := g.cfg.Store.SpendAttempt(ctx, k); err != nil { // the last check: it is the one that costs something
		return Attempt{}, err
	}
	s, err := g.redeem(ctx, m, a, q.Get("code"))
	if err != nil {
		if errors.Is(err, ErrOtherPerson) { // whoever sits there now is not the one whose session this was
			g.endOld(ctx, m, r)
			g.cfg.Cookies.Clear(w, CookieSession)
		}
		return a, err
	}
	return a, g.begin(w, r, m, s)
}

// maxParameter bounds a parameter of an answer, in bytes.
const maxParameter = 2048

// answer reads the parameters of an answer: each at most once.
func answer(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, ErrAttemptUnknown.Because(err)
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if v := q[name]; len(v) > 1 || len(v) == 1 && len(v[0]) > maxParameter {
			return nil, ErrMismatch.Because(errors.New("a parameter twice or too long"))
		}
	}
	return q, nil
}

// refusal is the fault for an error of the authorization endpoint (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6).
func refusal(code string) error {
	why := errors.New("the issuer answered " + strconv.Quote(code[:min(len(code), 64)]))
	switch code {
	case "access_denied":
		return ErrDenied.Because(why)
	case "login_required", "interaction_required", "consent_required", "account_selection_required", "unmet_authentication_requirements":
		return ErrRequired.Because(why)
	case "temporarily_unavailable", "server_error":
		return ErrUnavailable.Because(why).After(metadataPause)
	}
	return ErrConfig.Because(why)
}

// begin makes the session: a new identifier, whatever the browser held before.
func (g *Gate) begin(w http.ResponseWriter, r *http.Request, m *metadata, s Session) error {
	cookie := ident.NewToken(kindSession)
	if err := g.cfg.Store.AddSession(r.Context(), Key(ident.Hash(cookie)), s); err != nil {
		return err
	}
	g.endOld(r.Context(), m, r)
	g.cfg.Cookies.Set(w, CookieSession, cookie, 0)
	return nil
}

// endOld ends the session that the browser brought, and withdraws its refresh token.
func (g *Gate) endOld(ctx context.Context, m *metadata, r *http.Request) {
	if cookie := g.cfg.Cookies.Session(r); cookie != "" {
		if old, err := g.cfg.Store.EndSession(ctx, Key(ident.Hash(cookie))); err == nil {
			g.revoke(ctx, m, old.Tokens)
		}
	}
}

// drop ends a session that is over.
func (g *Gate) drop(ctx context.Context, k Key) {
	s, err := g.cfg.Store.EndSession(ctx, k)
	if err != nil {
		return
	}
	if m, err := g.provider.get(ctx); err == nil {
		g.revoke(ctx, m, s.Tokens)
	}
}
