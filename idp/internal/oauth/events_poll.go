package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/feed"
	"ellis.example/idp/internal/web"
)

// Follower answers who follows an API's line of events. It is implemented by feed.Feed.
type Follower interface {
	Follow(ctx context.Context, a feed.Ask) (feed.Page, error)
	// Turn waits for the turn of an API in which its events are signed, and returns what ends it.
	Turn(ctx context.Context, api string, waits func(bool)) (done func(), err error)
}

// Limits of a poll beside that of its body.
const (
	maxAcks   = 10 * feed.MaxEvents
	maxSETJTI = 256 // bytes
)

// poll is a request of RFC 8936 §2.2. Acknowledgements change nothing: each replica of an API follows by itself, from the
// place that it names in after, an extension of ours.
type poll struct {
	MaxEvents         *int              `json:"maxEvents"`
	ReturnImmediately bool              `json:"returnImmediately"`
	Ack               []string          `json:"ack"`
	SetErrs           map[string]setErr `json:"setErrs"`
	After             string            `json:"after"`
}

type setErr struct {
	Err         string `json:"err"`
	Description string `json:"description"`
}

// polled is the answer (RFC 8936 §2.3), with the place to go on from, and for how many milliseconds the poll was held before the
// answer was read: by them a follower knows how old the answer is, however long it was on its way.
type polled struct {
	Sets   map[string]string `json:"sets"`
	More   bool              `json:"moreAvailable"`
	Cursor string            `json:"cursor"`
	Held   int64             `json:"held"`
}

// eventsPoll tells an API's own client what ended (RFC 8936). A client that is right is counted against no network's share.
// What is answered is not recorded. What is refused is, once a minute: the refusals after that are counted.
func (p *Provider) eventsPoll(w http.ResponseWriter, r *http.Request) error {
	c, err := p.authenticate(r, url.Values{})
	if err != nil {
		p.CountPoll("unauthenticated")
		return p.wire(err)
	}
	a, err := p.standsFor(r.Context(), c)
	if err != nil {
		return err
	}
	if a == nil {
		p.CountPoll("forbidden")
		return p.refusePoll(r.Context(), c, http.StatusForbidden, problem("access_denied", "no API is registered with this client"))
	}
	q, err := readPoll(r)
	if err != nil {
		p.CountPoll("invalid")
		return p.refusePoll(r.Context(), c, http.StatusBadRequest, err)
	}
	return p.follow(w, r, c, a, q)
}

// standsFor returns the API that a client is the server of, or nil.
func (p *Provider) standsFor(ctx context.Context, c *caller) (*api.API, error) {
	if !c.Confidential() {
		return nil, nil //nolint:nilnil // nobody
	}
	apis, err := p.APIs.Get(ctx)
	if err != nil {
		return nil, err
	}
	a, err := apis.ByClient(c.ID)
	return a, unless(err, api.ErrNotFound)
}

// statusClientGone stands in the log where nobody was there any more to read an answer.
const statusClientGone = 499

func (p *Provider) follow(w http.ResponseWriter, r *http.Request, c *caller, a *api.API, q poll) error {
	ctx := r.Context()
	ask := feed.Ask{API: a.ID, From: q.After, Max: feed.MaxEvents, Wait: !q.ReturnImmediately, Waits: web.Info(ctx).Waits}
	if q.MaxEvents != nil {
		ask.Max = *q.MaxEvents
	}
	page, err := p.Feed.Follow(ctx, ask)
	var out polled
	if err == nil {
		out, err = p.sets(ctx, a, page)
	}
	switch {
	case errors.Is(err, feed.ErrCursor):
		p.CountPoll("cursor")
		return p.refusePoll(ctx, c, http.StatusBadRequest, problem("invalid_request", feed.ErrCursor.Message).because(feed.ErrCursor.Code))
	case ctx.Err() != nil:
		p.CountPoll("gone")
		w.WriteHeader(statusClientGone)
		return nil
	case errors.Is(err, feed.ErrCrowded), errors.Is(err, feed.ErrFull):
		p.CountPoll("crowded")
		return p.refusePoll(ctx, c, web.StatusOf(fault.Of(err)), err)
	case err != nil:
		p.CountPoll("failed")
		return err
	}
	p.CountPoll(map[bool]string{true: "events", false: "empty"}[len(page.Events) > 0])
	if ask.Wait && ask.From != "" { // who does not wait, as at its start, may hear of what is old
		for _, e := range page.Events {
			p.ObserveDelay(p.Clock.Now().Sub(e.At))
		}
	}
	return writeJSON(w, out)
}

// sets signs events for their API, in its turn. Errors: those of Follower.Turn, and of signing.
func (p *Provider) sets(ctx context.Context, a *api.API, page feed.Page) (polled, error) {
	out := polled{Sets: map[string]string{}, More: page.More, Cursor: page.Cursor, Held: page.Held.Milliseconds()}
	if len(page.Events) == 0 {
		return out, nil
	}
	done, err := p.Feed.Turn(ctx, a.ID, web.Info(ctx).Waits)
	if err != nil {
		return out, err
	}
	defer done()
	for _, e := range page.Events {
		if e.Kind == feed.Key { // what tells of a revoked key is not signed by it
			if err := p.Keys.Refresh(ctx); err != nil {
				return out, err
			}
			break
		}
	}
	for _, e := range page.Events {
		claims := e.Claims(p.Keys, p.issuer, a.Audience, page.Line, p.Clock.Now())
		text, err := p.Keys.Sign(ctx, target{a}.alg(), feed.SETType, claims)
		if err != nil {
			return out, err
		}
		out.Sets[claims.JTI] = text
	}
	return out, nil
}

// refusePoll records or counts that a poll was refused, and returns the answer. A server that polls wrongly does so all the time.
func (p *Provider) refusePoll(ctx context.Context, c *caller, status int, err error) error {
	f, ours := err, new(protoError)
	if !errors.As(err, &ours) {
		ours = problem("temporarily_unavailable", fault.Of(err).Message).because(fault.Of(err).Code)
	}
	if err := p.Strangers.Repeated(ctx, refused(p.clientEvent(ctx, "feed.refused", c.ID), ours.auditReason())); err != nil {
		return err
	}
	return &web.OAuthError{Status: status, Code: ours.code, Description: ours.why, Cause: f, RetryAfter: retryAfter(f)}
}

func retryAfter(err error) time.Duration {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.RetryAfter
	}
	return 0
}

// readPoll reads a poll's body: one JSON object, whose form is checked also where it means nothing here. Errors:
// invalid_request; that of a body that is too large.
func readPoll(r *http.Request) (q poll, err error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" || r.Header.Get("Content-Encoding") != "" {
		return q, problem("invalid_request", "send application/json, not compressed")
	}
	d := json.NewDecoder(r.Body)
	if err = d.Decode(&q); err == nil {
		if _, err = d.Token(); err == nil {
			err = errors.New("something follows")
		}
	} else if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // there is nothing
	}
	if !errors.Is(err, io.EOF) {
		return q, &protoError{code: "invalid_request", why: "send one JSON object with the members of RFC 8936 section 2.2, and after", cause: err}
	}
	if q.MaxEvents != nil && *q.MaxEvents < 0 {
		return q, problem("invalid_request", "maxEvents: send 0 or more")
	}
	if len(q.Ack) > maxAcks || len(q.SetErrs) > maxAcks {
		return q, problem("invalid_request", "ack, setErrs: send at most 1000")
	}
	for _, jti := range q.Ack {
		if jti == "" || len(jti) > maxSETJTI {
			return q, problem("invalid_request", "ack: name SETs by their jti")
		}
	}
	for jti, e := range q.SetErrs {
		if jti == "" || len(jti) > maxSETJTI || e.Err == "" {
			return q, problem("invalid_request", "setErrs: name SETs by their jti, each with an err")
		}
	}
	return q, nil
}
