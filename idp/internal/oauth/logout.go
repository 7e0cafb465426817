package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"unicode/utf8"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/web"
)

const csrfLogout = "logout"

// The faults of logout requests; Message is for the developer of the app.
var (
	errLogoutHint   = fault.New(fault.Invalid, "logout_hint", "id_token_hint is no ID token that this provider issued to this client").At("id_token_hint")
	errLogoutTarget = fault.New(fault.Invalid, "logout_redirect_unregistered", "post_logout_redirect_uri is not byte for byte one that this client registered; send client_id or id_token_hint with it").At("post_logout_redirect_uri")
	errLogoutForm   = fault.New(fault.Invalid, "logout_form", "each parameter may be sent once, as text")
)

// leaving is a validated logout request (OpenID Connect RP-Initiated Logout §2).
type leaving struct {
	client *client.Entry // nil: the person asked
	to     string        // registered post_logout_redirect_uri, or empty
	state  string
}

// logout asks the person whether to sign out. With nobody signed in there is nothing to ask; only a GET can tell that,
// because our cookies do not come with what another site posts.
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) error {
	l, err := p.readLogout(r)
	if err != nil {
		return err
	}
	s, a, err := p.signedIn(r)
	if err != nil {
		return err
	}
	switch {
	case s.ID == "" && r.Method == http.MethodPost:
		return again(w, r, "/logout", l.values())
	case s.ID == "":
		return p.left(w, r, l)
	}
	base := ui.Base{
		CSRF: p.Edge.CSRF(w, r, csrfLogout), Here: "/logout/confirm",
		LanguageCSRF: p.Edge.CSRF(w, r, "language"), LanguageBack: "/logout?" + l.values().Encode(),
	}
	page := ui.LogoutConfirm{Base: base, App: l.app(), Name: a.DisplayName(), StayURL: "/account"}
	if l.client != nil {
		page.Hidden = append(page.Hidden, ui.Hidden{Name: "client_id", Value: l.client.ID})
	}
	if l.to != "" {
		page.Hidden = append(page.Hidden, ui.Hidden{Name: "post_logout_redirect_uri", Value: l.to}, ui.Hidden{Name: "state", Value: l.state})
		web.AllowFormTarget(w, web.FormTarget(l.to))
	}
	return p.Show(w, r, http.StatusOK, page)
}

// logoutConfirm signs out. The form says where to go then; it is checked again.
func (p *Provider) logoutConfirm(w http.ResponseWriter, r *http.Request) error {
	l, err := p.readLogout(r)
	if err != nil {
		return err
	}
	if err := p.Edge.CheckCSRF(r, csrfLogout); err != nil {
		return err
	}
	s, _, err := p.signedIn(r)
	if err != nil {
		return err
	}
	if s.ID != "" {
		e := p.event(r.Context(), "session.ended", "")
		e.Actor = s.Account
		if l.client != nil {
			e.Client = l.client.ID
		}
		if err := p.Acts.SignOut(r.Context(), s, e); err != nil {
			return err
		}
	}
	p.Edge.Cookies.ClearSession(w)
	return p.left(w, r, l)
}

// left leads back to the app, or says that nobody is signed in any more.
func (p *Provider) left(w http.ResponseWriter, r *http.Request, l leaving) error {
	if l.to == "" {
		return p.Show(w, r, http.StatusOK, ui.LoggedOut{App: l.app()})
	}
	q := url.Values{}
	if l.state != "" {
		q.Set("state", l.state)
	}
	redirect(w, withQuery(l.to, q))
	return nil
}

func (l leaving) app() *ui.App {
	if l.client == nil {
		return nil
	}
	return app(reply{client: l.client, redirect: l.to})
}

// values are the parameters of the same request without the ID token, which has said whose client it is and belongs into no
// address bar.
func (l leaving) values() url.Values {
	v := url.Values{}
	if l.client != nil {
		v.Set("client_id", l.client.ID)
	}
	if l.to != "" {
		v.Set("post_logout_redirect_uri", l.to)
		v.Set("state", l.state)
	}
	return v
}

// readLogout validates the parameters. Nobody is ever sent to a URI that the named client did not register.
func (p *Provider) readLogout(r *http.Request) (leaving, error) {
	v, err := logoutParams(r)
	if err != nil {
		return leaving{}, err
	}
	ctx, l := r.Context(), leaving{state: v.Get("state")}
	id := v.Get("client_id")
	if hint := v.Get("id_token_hint"); hint != "" {
		c, ok, err := p.readHint(ctx, hint, id)
		if err != nil {
			return leaving{}, err
		}
		if !ok {
			return leaving{}, errLogoutHint
		}
		id = c.Audience
	}
	if id != "" {
		if l.client, err = p.logoutClient(ctx, id); err != nil {
			return leaving{}, err
		}
	}
	if to := v.Get("post_logout_redirect_uri"); to != "" {
		if l.client == nil || !l.client.MatchPostLogout(to) {
			return leaving{}, errLogoutTarget
		}
		l.to = to
	}
	return l, nil
}

func (p *Provider) logoutClient(ctx context.Context, id string) (*client.Entry, error) {
	c, err := p.Clients.Get(ctx, id)
	if errors.Is(err, client.ErrNotFound) {
		return nil, errNoClient
	}
	return c, err
}

// logoutParams reads the query or the body, each parameter once.
func logoutParams(r *http.Request) (url.Values, error) {
	all, err := url.ParseQuery(r.URL.RawQuery)
	if r.Method == http.MethodPost {
		all, err = web.Form(r)
	}
	if err != nil {
		return nil, errLogoutForm.Because(err)
	}
	for _, name := range []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state"} {
		v := all[name]
		if len(v) > 1 || (len(v) == 1 && (len(v[0]) > maxHint || !utf8.ValidString(v[0]))) {
			return nil, errLogoutForm.At(name)
		}
	}
	return all, nil
}

// signedIn returns the living session of this browser with its account, or zero values.
func (p *Provider) signedIn(r *http.Request) (session.Session, account.Account, error) {
	cookie := p.Edge.Cookies.Session(r)
	if cookie == "" {
		return session.Session{}, account.Account{}, nil
	}
	s, err := p.Sessions.SessionByCookie(r.Context(), ident.Hash(cookie))
	if err != nil || !s.Alive(p.Clock.Now()) {
		return session.Session{}, account.Account{}, unless(err, session.ErrNotFound)
	}
	a, err := p.Accounts.Account(r.Context(), s.Account)
	return s, a, unless(err, account.ErrNotFound)
}
