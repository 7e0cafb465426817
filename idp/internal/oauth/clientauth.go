package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

// caller is an authenticated client, with what its authentication uses up: that is written in the same commit as whatever
// the request leads to.
type caller struct {
	*client.Entry
	spend []unit.Write
}

const spendAssertion = "assertion"

// credentials are what a request presents: exactly one method.
type credentials struct {
	method string
	id     string
	secret string
	proof  assertion
}

// readCredentials finds the one method of a request (RFC 6749 §2.3: no more than one). ok is false when there is none, more
// than one, or when they contradict each other.
func readCredentials(r *http.Request, form url.Values) (c credentials, ok bool) {
	c.id = form.Get("client_id")
	n := 0
	switch h := r.Header.Values("Authorization"); {
	case len(h) > 1:
		return c, false
	case len(h) == 1:
		id, secret, good := parseBasic(h[0])
		if !good || (c.id != "" && c.id != id) {
			return c, false
		}
		n++
		c.method, c.id, c.secret = client.AuthBasic, id, secret
	}
	if form.Has("client_secret") {
		n++
		c.method, c.secret = client.AuthPost, form.Get("client_secret")
	}
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		n++
		a, err := readAssertion(form.Get("client_assertion"))
		if err != nil || form.Get("client_assertion_type") != assertionType || (c.id != "" && c.id != a.subject) {
			return c, false
		}
		c.method, c.id, c.proof = client.AuthPrivateKey, a.subject, a
	}
	if n == 0 {
		c.method = client.AuthNone
	}
	return c, n <= 1 && c.id != "" && len(c.id) <= maxCredential && len(c.secret) <= maxCredential
}

// authenticate finds out which client asks. Every failure has one answer, and an unknown client takes the same path as a
// wrong secret. Errors: invalid_client; those of the store.
func (p *Provider) authenticate(r *http.Request, form url.Values) (*caller, error) {
	ctx := r.Context()
	cred, ok := readCredentials(r, form)
	entry, err := p.Clients.Get(ctx, cred.id)
	known := err == nil
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		return nil, err
	}
	if !known {
		entry = p.nobody
	}
	c := &caller{Entry: entry}
	switch cred.method {
	case client.AuthNone:
	case client.AuthPrivateKey:
		ok = ok && entry.TokenEndpointAuth == client.AuthPrivateKey && cred.proof.good(entry.ID, []string{p.issuer, p.issuer + "/token"}, p.Clock.Now()) && cred.proof.signedBy(entry)
		if ok {
			if ok, err = p.unswept(ctx, cred.proof); err != nil {
				return nil, err
			}
			c.spend = []unit.Write{unit.Spend{Kind: spendAssertion, Key: unit.Key(entry.ID, cred.proof.jti), Until: cred.proof.until()}}
		}
	default:
		right := entry.SecretIs(cred.secret)
		ok = ok && right
	}
	if !ok || !known || cred.method != entry.TokenEndpointAuth {
		id := ""
		if known {
			id = entry.ID
		}
		return nil, p.strangers(ctx, id, clip(cred.id))
	}
	web.Info(ctx).Client = entry.ID
	return c, nil
}

// Tombstones tells what was spent, and since when that is known.
type Tombstones interface {
	unit.SpentReader
	// Epoch returns the present epoch: of what was spent before it began, nothing is known.
	Epoch(ctx context.Context) (epoch.Epoch, error)
}

// unswept reports whether a use of the assertion would still be known: after a clock was set back, one that ended before the
// last sweep reads like one that nobody has used; so does, after a restore, one that was made before it. One that may be that
// old has to say when it was made.
func (p *Provider) unswept(ctx context.Context, a assertion) (bool, error) {
	e, err := p.Spent.Epoch(ctx)
	if err != nil {
		return false, err
	}
	if oldest := e.At.Add(assertionLife + 2*assertionSkew); p.Clock.Now().Before(oldest) && a.issued <= float64(e.At.UnixMicro())/1e6 {
		return false, nil
	}
	swept, err := p.Spent.SweptTo(ctx)
	return a.until().After(swept), err
}

// strangers records a failed authentication and returns its one answer. One network's failures are limited: a client that is
// right is never asked how many others were wrong.
func (p *Provider) strangers(ctx context.Context, known, claimed string) error {
	if err := p.Networks.Take(ctx, throttle.Failure, web.Info(ctx).IP); err != nil {
		return err
	}
	e := refused(p.clientEvent(ctx, "client.refused", ""), "invalid_client")
	e.Client = known
	var err error
	if known == "" {
		e.Detail = map[string]string{"client_id": claimed}
		err = p.Strangers.Refused(ctx, e)
	} else {
		info := web.Info(ctx)
		info.Waits(true) // with a wrong secret, anybody could keep APIs from polling for as long as the database takes
		err = p.Commit.Commit(ctx, unit.Unit{Event: e})
		info.Waits(false)
	}
	if err != nil {
		return err
	}
	return errClientAuth
}

// replayed turns the conflict of an assertion that was used before into the answer for it, and records that.
func (p *Provider) replayed(ctx context.Context, c *caller, err error) error {
	if s, ok := unit.ConflictIn[unit.Spend](err); !ok || s.Kind != spendAssertion {
		return err
	}
	e := refused(p.clientEvent(ctx, "client.refused", ""), "assertion_replayed")
	e.Client = c.ID
	if err := p.Commit.Commit(ctx, unit.Unit{Event: e}); err != nil {
		return err
	}
	return errClientAuth
}
