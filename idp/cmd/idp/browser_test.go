package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/net/html"
)

// browser follows links and fills in forms, without a screen. It follows redirects on the issuer, and stops where one leaves it.
type browser struct {
	w    *world
	http *http.Client
	jar  *cookiejar.Jar
	trip []string // paths of the last walk
	lang string   // Accept-Language
}

// page is what a browser came to.
type page struct {
	b      *browser
	status int
	header http.Header
	body   string
	url    *url.URL
	out    string // where a redirect left the issuer
	forms  []form
}

// form is a form with what it would send if nobody touched it.
type form struct {
	action  string
	values  url.Values
	fields  []string // every named control
	buttons [][2]string
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	w.must(err)
	return &browser{w: w, jar: jar, http: &http.Client{Transport: w.http.Transport, Jar: jar, CheckRedirect: w.http.CheckRedirect}}
}

// get opens a path of the issuer, or a whole URL.
func (b *browser) get(to string) *page {
	b.w.Helper()
	b.trip = nil
	return b.follow(http.MethodGet, b.abs(to), nil)
}

// post sends a form to a path, as a page of the same origin would.
func (b *browser) post(to string, v url.Values) *page {
	b.w.Helper()
	b.trip = nil
	return b.follow(http.MethodPost, b.abs(to), v)
}

func (b *browser) abs(to string) string {
	if strings.HasPrefix(to, "/") {
		return b.w.issuer + to
	}
	return to
}

func (b *browser) follow(method, to string, v url.Values) *page {
	b.w.Helper()
	for range 12 {
		var body io.Reader = http.NoBody
		if method == http.MethodPost {
			body = strings.NewReader(v.Encode())
		}
		req, err := http.NewRequestWithContext(b.w.Context(), method, to, body)
		b.w.must(err)
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		if b.lang != "" {
			req.Header.Set("Accept-Language", b.lang)
		}
		p := b.read(req)
		b.trip = append(b.trip, req.URL.Path)
		loc := p.header.Get("Location")
		if p.status/100 != 3 || loc == "" {
			return p
		}
		next, err := p.url.Parse(loc)
		if err != nil || !strings.HasPrefix(next.String(), b.w.issuer+"/") {
			p.out = loc
			return p
		}
		method, to = http.MethodGet, next.String()
	}
	b.w.Fatalf("redirected in a circle: %v", b.trip)
	return nil
}

func (b *browser) read(req *http.Request) *page {
	b.w.Helper()
	res, err := b.http.Do(req)
	b.w.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	b.w.must(err)
	p := &page{b: b, status: res.StatusCode, header: res.Header, body: string(body), url: req.URL}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		doc, err := html.Parse(strings.NewReader(p.body))
		b.w.must(err)
		p.collect(doc, nil)
	}
	return p
}

// collect reads the forms of a page.
func (p *page) collect(n *html.Node, in *form) {
	if n.Type == html.ElementNode {
		name := attr(n, "name")
		switch {
		case n.Data == "form":
			p.forms = append(p.forms, form{action: attr(n, "action"), values: url.Values{}})
			in = &p.forms[len(p.forms)-1]
		case in != nil && n.Data == "button":
			in.buttons = append(in.buttons, [2]string{name, attr(n, "value")})
		case in != nil && n.Data == "option" && has(n, "selected"):
			in.values.Set(attr(n.Parent, "name"), attr(n, "value"))
		case in != nil && name != "" && (n.Data == "input" || n.Data == "select" || n.Data == "textarea"):
			in.fields = append(in.fields, name)
			if kind := attr(n, "type"); kind != "checkbox" && kind != "radio" || has(n, "checked") {
				in.values.Set(name, attr(n, "value"))
			}
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.collect(c, in)
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// form returns the form that has a field or a button with the name; value narrows it to one that would send that.
func (p *page) form(name, value string) *form {
	for i, f := range p.forms {
		for _, b := range f.buttons {
			if b[0] == name && (value == "" || b[1] == value) {
				return &p.forms[i]
			}
		}
		for _, n := range f.fields {
			if n == name && (value == "" || f.values.Get(name) == value) {
				return &p.forms[i]
			}
		}
	}
	return nil
}

// submit fills in pairs of name and value in the form that has the first name, and sends it.
func (p *page) submit(pairs ...string) *page {
	p.b.w.Helper()
	f := p.form(pairs[0], "")
	if f == nil {
		p.b.w.Fatalf("%s has no form with %s (status %d): %s", p.url.Path, pairs[0], p.status, p.text())
	}
	return f.send(p, pairs...)
}

func (f *form) send(p *page, pairs ...string) *page {
	p.b.w.Helper()
	for i := 0; i < len(pairs); i += 2 {
		f.values.Set(pairs[i], pairs[i+1])
	}
	to := p.url
	if f.action != "" {
		u, err := p.url.Parse(f.action)
		p.b.w.must(err)
		to = u
	}
	return p.b.post(to.String(), f.values)
}

// text is the words of a page, for messages of failed tests.
func (p *page) text() string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(p.body))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return strings.Join(strings.Fields(b.String()), " ")
		case html.TextToken:
			b.Write(z.Text())
			b.WriteByte(' ')
		}
	}
}

// signIn answers the pages of a sign-in until something else comes.
func (p *page) signIn(email string) *page {
	p.b.w.Helper()
	for range 4 {
		switch p.url.Path {
		case "/signin":
			p = p.submit("identifier", email, "password", pass)
			if p.status == http.StatusUnprocessableEntity || p.status == http.StatusTooManyRequests {
				p.b.w.Fatalf("sign-in refused: %s", p.text())
			}
		case "/signin/factor":
			p = p.submit("code", p.b.w.code())
		default:
			return p
		}
		if p.out != "" {
			return p
		}
	}
	return p
}

// code is Ben's next one-time code: each works once, so that time goes on.
func (w *world) code() string {
	w.clock.Advance(30 * time.Second)
	c, err := totp.GenerateCode(benSeed, w.clock.Now())
	w.must(err)
	return c
}

// cookie returns the value of a cookie of the issuer, or "".
func (b *browser) cookie(name string) string {
	u, err := url.Parse(b.w.issuer)
	b.w.must(err)
	for _, c := range b.jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) setCookie(name, value string) {
	u, err := url.Parse(b.w.issuer)
	b.w.must(err)
	b.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}
