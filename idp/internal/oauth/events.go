package oauth

import (
	"context"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/web"
)

// event begins an audit event of this request.
func (p *Provider) event(ctx context.Context, kind string, o audit.Outcome) audit.Event {
	i := web.Info(ctx)
	return audit.Event{Type: kind, Outcome: o, IP: i.IP, Request: i.ID}
}

// clientEvent is an event that a client caused.
func (p *Provider) clientEvent(ctx context.Context, kind, clientID string) audit.Event {
	e := p.event(ctx, kind, audit.Allowed)
	if clientID != "" {
		e.Client, e.Actor = clientID, "client:"+clientID
	}
	return e
}

// grantEvent is an event about a grant, with what its client was told in place of our identifiers.
func (p *Provider) grantEvent(ctx context.Context, kind string, g grant.Grant) audit.Event {
	e := p.clientEvent(ctx, kind, g.Client)
	e.Account, e.Session, e.Grant, e.Txn = g.Account, g.Session, g.ID, g.Txn
	web.Info(ctx).Txn = g.Txn
	if c, err := p.Clients.Get(ctx, g.Client); err == nil {
		key := "client:" + c.ID
		e.Seen = &audit.Seen{Audience: c.ID, Subject: p.subject(c, g.Account), Session: p.Keys.Pairwise("sid", key, g.Session), Txn: p.Keys.Pairwise("txn", key, g.Txn)}
	}
	return e
}

// subject is what a client knows an account by.
func (p *Provider) subject(c *client.Entry, account string) string { return c.Subject(p.Keys, account) }
