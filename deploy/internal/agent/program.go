package agent

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Answer is what a program got.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // no more than a megabyte of it
}

// NoRedirect is what http.Client.CheckRedirect is for a program: it looks itself where an answer leads.
func NoRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Request returns a request with a form, or without a body where form is nil. header holds pairs.
func Request(ctx context.Context, method, to string, form url.Values, header ...string) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return nil, err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r, nil
}

// Do sends a request and reads the answer. Where that ends too early, there is an error and what had come.
func Do(c *http.Client, r *http.Request) (a Answer, err error) {
	res, err := c.Do(r) //nolint:gosec // a service of a test
	if err != nil {
		return a, err
	}
	defer res.Body.Close() //nolint:errcheck // the body is read to its end
	a = Answer{Status: res.StatusCode, Header: res.Header}
	a.Body, err = io.ReadAll(io.LimitReader(res.Body, maxPage))
	return a, err
}

// Send is Request and Do.
func Send(ctx context.Context, c *http.Client, method, to string, form url.Values, header ...string) (Answer, error) {
	r, err := Request(ctx, method, to, form, header...)
	if err != nil {
		return Answer{}, err
	}
	return Do(c, r)
}
