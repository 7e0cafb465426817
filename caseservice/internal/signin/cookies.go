package signin

import (
	"net/http"
	"time"

	"ellis.example/caseservice/internal/ident"
)

// Cookies names and writes the cookies of the portal. Over https each has the __Host- prefix and is Secure; over http,
// which only loopback uses, browsers would refuse that, and the names say whose they are because ports do not separate
// cookies.
type Cookies struct{ secure bool }

// NewCookies returns the cookies of a portal that is reached by https, or not.
func NewCookies(https bool) Cookies { return Cookies{https} }

// The cookies.
const (
	CookieSession = "portal_session"
	CookieAttempt = "portal_signin_" // and which one
	CookieCSRF    = "portal_csrf"
	CookieLang    = "portal_lang"
	CookieLeaving = "portal_signout"
)

// kindSession is the kind of secret in the session's cookie: no token of the issuer and no other secret passes for one.
const kindSession ident.Kind = "eps_"

func (c Cookies) name(n string) string {
	if c.secure {
		return "__Host-" + n
	}
	return n
}

// Name returns the name under which a cookie is known to browsers.
func (c Cookies) Name(n string) string { return c.name(n) }

// Get returns the value of the one cookie with the name, or "": two of them mean that somebody planted one.
func (c Cookies) Get(r *http.Request, n string) string {
	found := r.CookiesNamed(c.name(n))
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// Set writes a cookie. A maxAge of zero makes it end with the browser.
func (c Cookies) Set(w http.ResponseWriter, n, value string, maxAge time.Duration) {
	http.SetCookie(w, c.make(n, value, int(maxAge/time.Second)))
}

// Clear removes a cookie.
func (c Cookies) Clear(w http.ResponseWriter, n string) {
	http.SetCookie(w, c.make(n, "", -1))
}

// make returns a cookie with the attributes that all of them have.
func (c Cookies) make(n, value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure but on loopback without https, where browsers would drop it
		Name: c.name(n), Value: value, Path: "/", MaxAge: maxAge, Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// secret returns a cookie's secret of the kind, or "".
func (c Cookies) secret(r *http.Request, n string, k ident.Kind) string {
	if v := c.Get(r, n); ident.IsToken(k, v) {
		return v
	}
	return ""
}

// Session returns the session cookie's secret, or "".
func (c Cookies) Session(r *http.Request) string { return c.secret(r, CookieSession, kindSession) }
