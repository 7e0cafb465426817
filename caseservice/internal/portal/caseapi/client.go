package caseapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/ident"
)

const (
	timeout   = 10 * time.Second
	maxAnswer = 4 << 20 // bytes; more is cut off, and cannot be read then
	pageSize  = 100     // the most that the API gives at once
	maxPages  = 10      // of events; more of them nobody reads on a page
)

// Client calls one case API.
type Client struct {
	base string
	http *http.Client
	down atomic.Bool
}

// New returns a client of the API at base. via carries what is asked; nil: http.DefaultTransport.
func New(base string, via http.RoundTripper) *Client {
	return &Client{base: strings.TrimSuffix(base, "/"), http: &http.Client{
		Timeout: timeout, Transport: via,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a token goes nowhere else
	}}
}

// Reachable reports whether the last call was answered; true before the first one.
func (c *Client) Reachable() bool { return !c.down.Load() }

// Cases returns a page of the person's cases. cursor is the Next of the page before, or empty.
func (c *Client) Cases(ctx context.Context, token, cursor string) (CasePage, error) {
	q := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	var page CasePage
	return page, c.get(ctx, token, "/v1/cases?"+q.Encode(), &page)
}

// Case returns one case. Errors: a Problem with the code not_found for a case that is not the person's, too.
func (c *Client) Case(ctx context.Context, token, id string) (Case, error) {
	var one Case
	if !ident.Valid("cas", id) {
		return one, notFound()
	}
	return one, c.get(ctx, token, "/v1/cases/"+id, &one)
}

// Events returns what happened to a case, oldest first.
func (c *Client) Events(ctx context.Context, token, id string) ([]Event, error) {
	if !ident.Valid("cas", id) {
		return nil, notFound()
	}
	var all []Event
	q := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for range maxPages {
		var page eventPage
		if err := c.get(ctx, token, "/v1/cases/"+id+"/events?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if !page.More || page.Next == nil {
			break
		}
		q.Set("after", *page.Next)
	}
	return all, nil
}

// Claim adds a case to the person's account. key is the Idempotency-Key of this attempt.
func (c *Client) Claim(ctx context.Context, token, key, receipt, code string) (Case, error) {
	body, err := json.Marshal(map[string]string{"receipt": receipt, "code": code})
	if err != nil {
		return Case{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/claims", bytes.NewReader(body))
	if err != nil {
		return Case{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	var out claimed
	return out.Case, c.do(r, token, http.StatusCreated, &out)
}

func (c *Client) get(ctx context.Context, token, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	return c.do(r, token, http.StatusOK, into)
}

func (c *Client) do(r *http.Request, token string, want int, into any) error {
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "application/json, application/problem+json")
	resp, err := c.http.Do(r)
	if err != nil {
		c.down.Store(r.Context().Err() == nil)
		return unreachable(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	c.down.Store(resp.StatusCode >= http.StatusInternalServerError)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return unreachable(err)
	case resp.StatusCode != want:
		return problemOf(resp, body)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return unreachable(fmt.Errorf("an answer of type %q", kind))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return unreachable(err)
	}
	return nil
}

// retryAfter is offered where the API did not say when to come back.
const retryAfter = 30 * time.Second

func unreachable(cause error) error {
	return fault.New(fault.Unavailable, "api_unavailable", "the case service does not answer").Because(cause).After(retryAfter)
}

func notFound() error {
	return &Problem{Status: http.StatusNotFound, Code: "not_found"}
}
