package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"
)

const (
	maxPage      = 1 << 20
	maxRedirects = 20
)

// Agent is one browser: one cookie jar and one open page.
type Agent struct {
	// StopAt is asked before each redirect is followed; true leaves the agent at the redirecting answer. A relying
	// party that does not exist is thereby enough for an authorization request.
	StopAt func(*url.URL) bool
	// Header is added to each request.
	Header http.Header

	http *http.Client
	Page Page
}

// Page is the last answer.
type Page struct {
	URL      *url.URL
	Status   int
	Header   http.Header
	Body     string
	Location string // of a redirect that was not followed
	Forms    []Form
	Links    []Link
	Title    string
	Lang     string
	Text     string // visible text, white space folded
}

// Link is an anchor of a page.
type Link struct{ Text, Href string }

// New returns an agent with an empty jar.
func New() *Agent {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it never fails without options
	}
	return &Agent{Header: http.Header{}, http: &http.Client{
		Jar: jar, Timeout: 30 * time.Second,
		CheckRedirect: NoRedirect,
	}}
}

// Cookies returns the cookies that a request to u would carry.
func (a *Agent) Cookies(u *url.URL) []*http.Cookie { return a.http.Jar.Cookies(u) }

// SetCookies puts cookies into the jar, as an answer from u would.
func (a *Agent) SetCookies(u *url.URL, c ...*http.Cookie) { a.http.Jar.SetCookies(u, c) }

// Via lets requests go by a transport in place of the default one.
func (a *Agent) Via(t http.RoundTripper) { a.http.Transport = t }

// ErrNoForm is returned by Submit where nothing was sent.
var ErrNoForm = errors.New("no such form")

// Get opens a page, relative to the present one, and follows redirects.
func (a *Agent) Get(ctx context.Context, ref string) error {
	return a.do(ctx, http.MethodGet, ref, nil)
}

// Post submits values to ref and follows redirects.
func (a *Agent) Post(ctx context.Context, ref string, values url.Values) error {
	if values == nil {
		values = url.Values{}
	}
	return a.do(ctx, http.MethodPost, ref, values)
}

func (a *Agent) do(ctx context.Context, method, ref string, values url.Values) error {
	for range maxRedirects {
		u, err := a.resolve(ref)
		if err != nil {
			return err
		}
		if err := a.once(ctx, method, u, values); err != nil {
			return err
		}
		if a.Page.Location == "" {
			return nil
		}
		next, err := u.Parse(a.Page.Location)
		if err != nil {
			return err
		}
		if a.StopAt != nil && a.StopAt(next) {
			a.Page.Location = next.String()
			return nil
		}
		if a.Page.Status != http.StatusTemporaryRedirect && a.Page.Status != http.StatusPermanentRedirect {
			method, values = http.MethodGet, nil
		}
		ref = next.String()
	}
	return fmt.Errorf("more than %d redirects, the last to %s", maxRedirects, ref)
}

func (a *Agent) resolve(ref string) (*url.URL, error) {
	if a.Page.URL != nil {
		return a.Page.URL.Parse(ref)
	}
	return url.Parse(ref)
}

func (a *Agent) once(ctx context.Context, method string, u *url.URL, values url.Values) error {
	req, err := Request(ctx, method, u.String(), values)
	if err != nil {
		return err
	}
	maps.Copy(req.Header, a.Header)
	if p := a.Page.URL; p != nil && method == http.MethodPost {
		req.Header.Set("Origin", p.Scheme+"://"+p.Host)
	}
	got, err := Do(a.http, req)
	if err != nil {
		return err
	}
	a.Page = Page{URL: u, Status: got.Status, Header: got.Header, Body: string(got.Body)}
	if got.Status/100 == 3 {
		a.Page.Location = got.Header.Get("Location")
	}
	if strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") {
		return a.Page.read()
	}
	return nil
}

// Follow opens the first link whose text or target contains part.
func (a *Agent) Follow(ctx context.Context, part string) error {
	for _, l := range a.Page.Links {
		if strings.Contains(l.Text, part) || strings.Contains(l.Href, part) {
			return a.Get(ctx, l.Href)
		}
	}
	return fmt.Errorf("no link with %q on %s: %v", part, a.Page.URL, a.Page.Links)
}

// Submit fills the first form that has all the named fields (or, with none named, the first form whose action or button
// contains part) and submits it with its first button, or the button whose name, value or text contains part. Errors:
// ErrNoForm; those of sending it.
func (a *Agent) Submit(ctx context.Context, part string, fields map[string]string) error {
	for _, f := range a.Page.Forms {
		b, ok := f.button(part)
		if !ok || !f.has(fields) {
			continue
		}
		v := url.Values{}
		for k, old := range f.Values {
			v[k] = slices.Clone(old)
		}
		for k, x := range fields {
			v.Set(k, x)
		}
		if b.Name != "" {
			v.Set(b.Name, b.Value)
		}
		if strings.EqualFold(f.Method, http.MethodPost) {
			return a.Post(ctx, f.Action, v)
		}
		return a.Get(ctx, withQuery(f.Action, v))
	}
	return fmt.Errorf("%w: with button %q and fields %v on %s (%d): %s", ErrNoForm, part, fields, a.Page.URL, a.Page.Status, a.Page.Text)
}

func withQuery(action string, v url.Values) string {
	base, _, _ := strings.Cut(action, "?")
	return base + "?" + v.Encode()
}

func (p *Page) read() error {
	doc, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		return err
	}
	var text strings.Builder
	p.walk(doc, &text)
	p.Text = strings.Join(strings.Fields(text.String()), " ")
	return nil
}
