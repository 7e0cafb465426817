package web_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/web"
)

const formType = "application/x-www-form-urlencoded"

func posted(kind, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://id.example.org/page/1?email=query@evil.example", strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	return r
}

func TestForm_ReadsTheBodyOnceAsText(t *testing.T) {
	t.Parallel()
	v, err := web.Form(posted(formType+"; charset=utf-8", "email=ana%40example.org&empty=&plus=a+b"))
	if err != nil || v.Get("email") != "ana@example.org" || len(v["email"]) != 1 || v.Get("plus") != "a b" || !v.Has("empty") {
		t.Errorf("%v, %v", v, err)
	}
	for _, c := range []struct {
		kind, body string
		want       error
	}{
		{"", "a=b", web.ErrFormType}, {"application/json", "{}", web.ErrFormType}, {"multipart/form-data; boundary=x", "--x--", web.ErrFormType}, {"text/plain", "a=b", web.ErrFormType}, {formType + "; charset", "a=b", web.ErrFormType},
		{formType, "a=b&a=c", web.ErrFormTwice}, {formType, "a=%ff", web.ErrFormText}, {formType, "%ff=a", web.ErrFormText}, {formType, "a=%zz", web.ErrFormText}, {formType, "a=b;c=d", web.ErrFormText},
	} {
		if _, err := web.Form(posted(c.kind, c.body)); !errors.Is(err, c.want) {
			t.Errorf("%s %s: %v, want %v", c.kind, c.body, err, c.want)
		}
	}
}

func TestAttack_I04_ACompressedFormIsRefused(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"gzip", "deflate", "br", "identity", "gzip, gzip"} {
		r := posted(formType, "a=b")
		r.Header.Set("Content-Encoding", coding)
		if _, err := web.Form(r); !errors.Is(err, web.ErrFormType) {
			t.Errorf("%s: %v", coding, err)
		}
	}
}

// A form that has arrived before a handler asks for it is read as one that has not.
func TestForm_OfABodyThatHasArrived(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"", "?a=query&q=1", "?%zz"} {
		for _, body := range []string{"", "a=b", "a=b&c=d+e%26&empty=&=", "a=b&a=c", "a=%ff", "a=%zz", "a;b=c", "&&", "a", strings.Repeat("a", 65<<10)} {
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodGet} {
				type read struct {
					form, all url.Values
					err       string
				}
				look := func(r *http.Request) (out read) {
					form, err := web.Form(r)
					if err != nil {
						return read{err: err.Error()}
					}
					all := r.FormValue("a") + r.PostFormValue("a") // whoever reads it otherwise finds the same
					return read{maps.Clone(form), url.Values{"a": {all}}, ""}
				}
				send := func() *http.Request {
					r := httptest.NewRequest(method, "https://id.example/token"+query, strings.NewReader(body))
					r.Header.Set("Content-Type", formType)
					return r
				}
				late := send()
				late.Body = http.MaxBytesReader(nil, late.Body, 64<<10)
				want := look(late)
				var got read
				seen := false
				newEdge(t, "https://id.example").Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					got, seen = look(r), true
				})).ServeHTTP(httptest.NewRecorder(), send())
				if !seen || !reflect.DeepEqual(got, want) {
					t.Errorf("%s %s %.20q: %v, %+v in place of %+v", method, query, body, seen, got, want)
				}
			}
		}
	}
}

func FuzzForm(f *testing.F) {
	f.Add("email=ana%40example.org&a=b")
	f.Add("a=b&a=c;%zz")
	f.Fuzz(func(t *testing.T, body string) {
		v, err := web.Form(posted(formType, body))
		if err != nil {
			return
		}
		for k, one := range v {
			if len(one) != 1 || !utf8.ValidString(k+one[0]) {
				t.Fatalf("%q: %q", body, v)
			}
		}
	})
}

// A form's token is good in the browser, the session and for the purpose that it was made for.
func TestAttack_D17_FormTokensAreBound(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "https://id.example.org")
	shown := httptest.NewRecorder()
	first := request(http.MethodGet, "https://id.example.org/page/1")
	token, other := b.CSRF(shown, first, "profile"), b.CSRF(shown, first, "password")
	cookies := shown.Result().Cookies()
	if len(cookies) != 1 || cookies[0].Name != "__Host-idp_csrf" || len(cookies[0].Value) != 43 || len(token) != 43 || token == other {
		t.Fatalf("%v, %q, %q", cookies, token, other)
	}
	session := &http.Cookie{Name: "__Host-idp_session", Value: ident.NewToken(ident.SessionCookie)}
	seed := cookies[0]
	check := func(token, purpose string, cookies ...*http.Cookie) bool {
		r := posted(formType, url.Values{web.CSRFField: {token}}.Encode())
		for _, c := range cookies {
			r.AddCookie(c)
		}
		return b.CheckCSRF(r, purpose) == nil
	}
	for what, c := range map[string]struct {
		passes, want bool
	}{
		"its own":               {check(token, "profile", seed), true},
		"another purpose":       {check(token, "password", seed), false},
		"another session":       {check(token, "profile", seed, session), false},
		"no cookie":             {check(token, "profile"), false},
		"another browser":       {check(token, "profile", &http.Cookie{Name: seed.Name, Value: strings.Repeat("A", 43)}), false},
		"a planted second":      {check(token, "profile", seed, &http.Cookie{Name: seed.Name, Value: "x"}), false},
		"none":                  {check("", "profile", seed), false},
		"altered":               {check(token[1:]+token[:1], "profile", seed), false},
		"a short seed":          {check(token, "profile", &http.Cookie{Name: seed.Name, Value: ""}), false},
		"the name without host": {check(token, "profile", &http.Cookie{Name: "idp_csrf", Value: seed.Value}), false},
	} {
		if c.passes != c.want {
			t.Errorf("%s: passes %v", what, c.passes)
		}
	}
	again := request(http.MethodGet, "https://id.example.org/page/1")
	again.AddCookie(seed)
	w := httptest.NewRecorder()
	if b.CSRF(w, again, "profile") != token || len(w.Result().Cookies()) != 0 {
		t.Error("the browser gets another token, or the cookie again")
	}
}

// A cookie of the wrong kind or sent twice is none.
func TestCookies_ReadOneOfTheirKind(t *testing.T) {
	t.Parallel()
	b := newEdge(t, "http://127.0.0.1:1")
	good := ident.NewToken(ident.SessionCookie)
	for what, c := range map[string]struct {
		header string
		want   string
	}{
		"one": {"idp_session=" + good, good}, "two": {"idp_session=" + good + "; idp_session=" + good, ""}, "planted": {"idp_session=x; idp_session=" + good, ""}, "another kind": {"idp_session=" + ident.NewToken(ident.DeviceCookie), ""},
		"altered": {"idp_session=" + good[:len(good)-1] + "!", ""}, "another name": {"__Host-idp_session=" + good, ""}, "none": {"", ""},
	} {
		r := request(http.MethodGet, "http://127.0.0.1:1/")
		r.Header.Set("Cookie", c.header)
		if got := b.Cookies.Session(r); got != c.want {
			t.Errorf("%s: %q", what, got)
		}
	}
}
