package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/ident"
)

// Cookies names and writes the cookies of the provider. Over https each has the __Host- prefix and is Secure; over http,
// which only loopback issuers use, browsers would refuse that, and the names say whose they are because ports do not
// separate cookies.
type Cookies struct{ secure bool }

// The cookies.
const (
	cookieSession = "idp_session"
	cookieDevice  = "idp_device"
	cookieFlow    = "idp_flow"
	cookieSignin  = "idp_signin"
	cookieCSRF    = "idp_csrf"
	cookieLang    = "idp_lang"
	cookieSignup  = "idp_signup"
)

func (c Cookies) name(n string) string {
	if c.secure {
		return "__Host-" + n
	}
	return n
}

// Get returns the value of the one cookie with the name, or "": two of them mean that somebody planted one.
func (c Cookies) get(r *http.Request, n string) string {
	found := r.CookiesNamed(c.name(n))
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

func (c Cookies) token(r *http.Request, n string, k ident.Kind) string {
	if v := c.get(r, n); ident.IsToken(k, v) {
		return v
	}
	return ""
}

// set writes a cookie. A maxAge of zero makes it end with the browser.
func (c Cookies) set(w http.ResponseWriter, n, value string, maxAge time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: c.name(n), Value: value, Path: "/", MaxAge: int(maxAge / time.Second), Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}) //nolint:gosec // Secure follows the issuer's scheme
}

func (c Cookies) clear(w http.ResponseWriter, n string) {
	http.SetCookie(w, &http.Cookie{Name: c.name(n), Path: "/", MaxAge: -1, Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}) //nolint:gosec // Secure follows the issuer's scheme
}

// Session returns the session cookie's secret, or "".
func (c Cookies) Session(r *http.Request) string {
	return c.token(r, cookieSession, ident.SessionCookie)
}

// SetSession writes the session cookie; it ends with the browser, the store ends it earlier.
func (c Cookies) SetSession(w http.ResponseWriter, token string) { c.set(w, cookieSession, token, 0) }

// ClearSession removes the session cookie.
func (c Cookies) ClearSession(w http.ResponseWriter) { c.clear(w, cookieSession) }

// Device returns the device cookie's secret, or "".
func (c Cookies) Device(r *http.Request) string {
	return c.token(r, cookieDevice, ident.DeviceCookie)
}

// SetDevice writes the device cookie.
func (c Cookies) SetDevice(w http.ResponseWriter, token string, maxAge time.Duration) {
	c.set(w, cookieDevice, token, maxAge)
}

// Flow returns the secret that binds pending authorizations to this browser, or "".
func (c Cookies) Flow(r *http.Request) string { return c.token(r, cookieFlow, ident.FlowCookie) }

// SetFlow writes the flow cookie.
func (c Cookies) SetFlow(w http.ResponseWriter, token string, maxAge time.Duration) {
	c.set(w, cookieFlow, token, maxAge)
}

// Signin returns the secret of a half-finished sign-in, or "".
func (c Cookies) Signin(r *http.Request) string {
	return c.token(r, cookieSignin, ident.SessionCookie)
}

// SetSignin writes the cookie of a half-finished sign-in.
func (c Cookies) SetSignin(w http.ResponseWriter, token string, maxAge time.Duration) {
	c.set(w, cookieSignin, token, maxAge)
}

// ClearSignin removes it.
func (c Cookies) ClearSignin(w http.ResponseWriter) { c.clear(w, cookieSignin) }

// Signup returns the sealed state of a sign-up, or "".
func (c Cookies) Signup(r *http.Request) string { return c.get(r, cookieSignup) }

// SetSignup writes the sealed state of a sign-up.
func (c Cookies) SetSignup(w http.ResponseWriter, sealed string, maxAge time.Duration) {
	c.set(w, cookieSignup, sealed, maxAge)
}

// ClearSignup removes it.
func (c Cookies) ClearSignup(w http.ResponseWriter) { c.clear(w, cookieSignup) }

// Lang returns the language that was chosen before, or "".
func (c Cookies) Lang(r *http.Request) string { return c.get(r, cookieLang) }

// SetLang remembers a language.
func (c Cookies) SetLang(w http.ResponseWriter, lang string) {
	c.set(w, cookieLang, lang, 365*24*time.Hour)
}

// CSRFField is the name of the form field.
const CSRFField = "csrf_token"

// ErrFormExpired is returned for a form whose token does not belong to this browser, session and purpose.
var ErrFormExpired = fault.New(fault.Forbidden, "form_expired", "this form is no longer valid; open the page again and send it once more")

// CSRF returns the token for forms of the given purpose: bound to this browser and its session.
func (e *Edge) CSRF(w http.ResponseWriter, r *http.Request, purpose string) string {
	seed := e.Cookies.get(r, cookieCSRF)
	if len(seed) != seedLen {
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails
		seed = base64.RawURLEncoding.EncodeToString(b[:])
		e.Cookies.set(w, cookieCSRF, seed, 0)
		r.AddCookie(&http.Cookie{Name: e.Cookies.name(cookieCSRF), Value: seed}) //nolint:gosec // it goes into this request, not to the browser // a second form of this page takes the same
	}
	return e.csrfToken(r, seed, purpose)
}

const seedLen = 43

func (e *Edge) csrfToken(r *http.Request, seed, purpose string) string {
	m := hmac.New(sha256.New, e.cfg.CSRFKey)
	for _, p := range []string{seed, e.Cookies.Session(r), purpose} {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		_, _ = m.Write(n[:])
		_, _ = m.Write([]byte(p))
	}
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// CheckCSRF checks the token of a posted form. Errors: ErrFormExpired.
func (e *Edge) CheckCSRF(r *http.Request, purpose string) error {
	seed := e.Cookies.get(r, cookieCSRF)
	if len(seed) != seedLen || !hmac.Equal([]byte(r.PostFormValue(CSRFField)), []byte(e.csrfToken(r, seed, purpose))) {
		return ErrFormExpired
	}
	return nil
}
