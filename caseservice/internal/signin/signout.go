package signin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"ellis.example/caseservice/internal/ident"
)

// leavingLifetime is how long somebody may take to sign out at the issuer.
const leavingLifetime = 10 * time.Minute

// SignOut ends the session at the server and in the browser, and returns where to go to end the issuer's session too
// (OpenID Connect RP-Initiated Logout §2); empty when the issuer offers none or cannot be asked. It names the client and
// sends no id_token_hint: that would put a token into the address bar, and the issuer asks the person in any case.
// Where nobody can say whether the session ended, the browser keeps its cookie and the person signs out again: as often as it
// takes, whatever became of the time before. What was begun is finished although the browser is gone.
func (g *Gate) SignOut(w http.ResponseWriter, r *http.Request) (string, error) {
	ctx := context.WithoutCancel(r.Context())
	cookie := g.cfg.Cookies.Session(r)
	if cookie == "" {
		g.cfg.Cookies.Clear(w, CookieSession)
		return "", nil
	}
	s, err := g.cfg.Store.EndSession(ctx, Key(ident.Hash(cookie)))
	if err != nil && !errors.Is(err, ErrNoSession) {
		return "", err
	}
	g.cfg.Cookies.Clear(w, CookieSession)
	m, unreachable := g.provider.get(ctx)
	if unreachable != nil {
		return "", nil //nolint:nilerr // this session is over all the same, and the page says what is left to do
	}
	g.revoke(ctx, m, s.Tokens)
	if m.EndSession == "" {
		return "", nil
	}
	to, err := url.Parse(m.EndSession)
	if err != nil {
		return "", err
	}
	state := oauth2.GenerateVerifier()
	g.cfg.Cookies.Set(w, CookieLeaving, state, leavingLifetime)
	q := to.Query()
	q.Set("client_id", g.cfg.ClientID)
	q.Set("post_logout_redirect_uri", g.cfg.SignedOutURI)
	q.Set("state", state)
	to.RawQuery = q.Encode()
	return to.String(), nil
}

// CameBack reports whether the request is the issuer's answer to a sign-out that began in this browser.
func (g *Gate) CameBack(w http.ResponseWriter, r *http.Request) bool {
	want := g.cfg.Cookies.Get(r, CookieLeaving)
	if want == "" || r.URL.Query().Get("state") != want {
		return false
	}
	g.cfg.Cookies.Clear(w, CookieLeaving)
	return true
}
