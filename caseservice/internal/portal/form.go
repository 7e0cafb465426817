package portal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"

	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/signin"
)

// csrfField is the name of the form field that holds the token.
const csrfField = "csrf_token"

// The purposes of form tokens: one is good for one purpose only.
const (
	purposeLanguage = "language"
	purposeSignOut  = "signout"
	purposeClaim    = "claim"
	purposeSend     = "claim/send"
)

// The faults of forms.
var (
	errFormExpired = fault.New(fault.Forbidden, "form_expired", "this form is no longer valid; open the page again and send it once more")
	errForm        = fault.New(fault.Invalid, "form", "the form is not what the page sends")
)

const seedLen = 43

// token returns the token for forms of the given purpose: bound to this browser and its session.
func (p *Portal) token(w http.ResponseWriter, r *http.Request, purpose string) string {
	cookies := p.Gate.Cookies()
	seed := cookies.Get(r, signin.CookieCSRF)
	if len(seed) != seedLen {
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails
		seed = base64.RawURLEncoding.EncodeToString(b[:])
		cookies.Set(w, signin.CookieCSRF, seed, 0)
		r.AddCookie(&http.Cookie{Name: cookies.Name(signin.CookieCSRF), Value: seed}) //nolint:gosec // on the request: the next form of this page takes the same
	}
	return p.tokenOf(r, seed, purpose)
}

func (p *Portal) tokenOf(r *http.Request, seed, purpose string) string {
	m := hmac.New(sha256.New, p.CSRFKey)
	for _, part := range []string{seed, p.Gate.Cookies().Session(r), purpose} {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(part)))
		_, _ = m.Write(n[:])
		_, _ = m.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// form reads a posted form and checks its token. The fields come back with ErrFormExpired, too, so that a page can keep
// what was typed. Errors: errForm, errFormExpired, and that of a body that is too large.
func (p *Portal) form(r *http.Request, purpose string) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, errForm
	}
	if err := r.ParseForm(); err != nil {
		return nil, formFault(err)
	}
	for k, v := range r.PostForm {
		if len(v) != 1 || !utf8.ValidString(v[0]) || !utf8.ValidString(k) {
			return nil, errForm
		}
	}
	seed := p.Gate.Cookies().Get(r, signin.CookieCSRF)
	if len(seed) != seedLen || !hmac.Equal([]byte(r.PostForm.Get(csrfField)), []byte(p.tokenOf(r, seed, purpose))) {
		return r.PostForm, errFormExpired
	}
	return r.PostForm, nil
}

func formFault(err error) error {
	if _, ok := err.(*http.MaxBytesError); ok { //nolint:errorlint // ParseForm returns it as it is
		return err
	}
	return errForm.Because(err)
}
