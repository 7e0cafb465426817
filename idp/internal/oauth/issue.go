package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/unit"
)

// issue answers a request that has everything: one commit spends the flow, records the grant and the event, on condition that
// the session has not ended meanwhile. The code's record is written before; without the commit it opens nothing.
func (p *Provider) issue(w http.ResponseWriter, r *http.Request, f flow.Flow, req request, st flow.State) error {
	ctx, now := r.Context(), p.Clock.Now()
	wk := &work{party: party{req.client, req.redirect}}
	for _, s := range req.scopes {
		req.ar.GrantScope(s)
	}
	if _, err := p.fosite.NewAuthorizeResponse(withWork(ctx, wk), req.ar, &bearerless{}); err != nil {
		return p.refuse(w, r, req.reply, f, ofFosite(err))
	}
	if wk.issued == "" {
		return errors.New("oauth: no code was made")
	}
	g := grant.Grant{
		ID: ident.InOrder("grt"), Account: st.Account.ID, Client: req.client.ID, Session: st.Session.ID, Scopes: req.scopes, API: req.target.id(),
		Txn: f.Txn, AuthTime: st.Session.AuthTime, ACR: st.Session.ACR, AMR: st.Session.AMR, Nonce: req.values.Get("nonce"), At: now,
	}
	hash := ident.Hash(wk.issued)
	code := grant.Code{Grant: g, RedirectURI: req.values.Get("redirect_uri"), Challenge: req.values.Get("code_challenge"), Resource: req.resource, ExpiresAt: now.Add(CodeLifetime)}
	if err := p.Codes.PutCode(ctx, hash, code); err != nil {
		return p.refuse(w, r, req.reply, f, err)
	}
	e := p.grantEvent(ctx, "code.issued", g)
	e.Flow, e.Actor = f.ID, g.Account
	e.Detail = map[string]string{"scope": sorted(g.Scopes), "acr": g.ACR}
	err := p.Commit.Commit(ctx, unit.Unit{Writes: []unit.Write{
		unit.Spend{Kind: spendFlow, Key: unit.Key(f.ID), Ref: g.ID, Until: f.ExpiresAt},
		session.Touch{ID: g.Session, At: seenAt(f, st.Session, now)},
		grant.Create{Grant: g},
	}, Event: e})
	if err != nil {
		_ = p.Codes.DeleteCode(ctx, hash) // it opens nothing without its grant
		return p.lost(w, r, f, req, err)
	}
	p.forget(ctx, f)
	return p.answer(w, r, req.reply, url.Values{"code": {wk.issued}})
}

// seenAt is when the person was last at the browser. An app asks with prompt=none by itself, from a hidden frame, as often as
// it likes: that is no sign of anybody.
func seenAt(f flow.Flow, s session.Session, now time.Time) time.Time {
	if has(f.Want.Prompts, "none") {
		return s.LastSeen
	}
	return now
}

// lost answers when issue's commit did not happen: the flow was answered in another tab, or the session ended just now.
func (p *Provider) lost(w http.ResponseWriter, r *http.Request, f flow.Flow, req request, err error) error {
	if _, ended := unit.ConflictIn[session.Touch](err); ended {
		return p.refuse(w, r, req.reply, f, problem("login_required", "the session ended"))
	}
	if unit.IsConflict(err) {
		return flow.ErrNotFound
	}
	return p.refuse(w, r, req.reply, f, err)
}

// refused is an audit event of a refusal.
func refused(e audit.Event, reason string) audit.Event {
	e.Outcome, e.Reason = audit.Refused, reason
	return e
}
