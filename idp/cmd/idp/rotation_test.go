package main

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/oauth"
)

// careful is a resource server that keeps the published keys for as long as it may, and never asks for an unknown one.
type careful struct {
	w    *world
	set  jose.JSONWebKeySet
	till time.Time
}

func (c *careful) accepts(token string) bool {
	if now := c.w.clock.Now(); !now.Before(c.till) {
		c.set, c.till = c.w.published(), now.Add(keyring.CacheLifetime)
	}
	return verifies(c.set, token)
}

// issued is a token and the time at which it expires.
type issued struct {
	text string
	till time.Time
}

// TestKeys_RotatedAsOftenAsTheyMayBeNoValidTokenIsRefused tries every ten seconds for half an hour to rotate each
// algorithm, while resource servers that last looked at different times check every token of the last five minutes.
func TestKeys_RotatedAsOftenAsTheyMayBeNoValidTokenIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	servers := []*careful{{w: w}, {w: w, till: w.clock.Now().Add(100 * time.Second), set: w.published()}, {w: w, till: w.clock.Now().Add(200 * time.Second), set: w.published()}}
	scopes := map[string]string{"ES256": "cases.read", "EdDSA": "letters.read"}
	var live []issued
	kids, rotations := map[any]bool{}, 0
	for step := range 180 {
		w.clock.Advance(10 * time.Second)
		for alg, scope := range scopes {
			if err := w.p.ring.Rotate(t.Context(), alg, false); err == nil {
				rotations++
			} else if !fault.Of(err).Is(keyring.ErrTooSoon) {
				t.Fatal(err)
			}
			a := w.as("machine", "/token", url.Values{"grant_type": {"client_credentials"}, "scope": {scope}})
			if a.status != http.StatusOK {
				t.Fatalf("%d %s", a.status, a.body)
			}
			head, _ := claims(a.str("access_token"))
			kids[head["kid"]] = true
			live = append(live, issued{a.str("access_token"), w.clock.Now().Add(oauth.AccessTokenLifetime)})
		}
		for len(live) > 0 && !w.clock.Now().Before(live[0].till) {
			live = live[1:]
		}
		look := live
		if step%6 != 0 { // the newest and the oldest each time, all of them once a minute
			look = append(slices.Clone(live[:min(2, len(live))]), live[max(0, len(live)-2):]...)
		}
		for i, s := range servers {
			for _, tok := range look {
				if !s.accepts(tok.text) {
					t.Fatalf("server %d refuses a valid token after %d rotations", i, rotations)
				}
			}
		}
	}
	if rotations < 8 || len(kids) < rotations {
		t.Errorf("%d rotations, %d keys signed", rotations, len(kids))
	}
}

// TestKeys_ADiscardedKeyIsRefusedOnceCachesAreOld shows the other side: what a leaked key signed ends at the provider at
// once, and at whoever keeps keys as long as it may after one cache lifetime.
func TestKeys_ADiscardedKeyIsRefusedOnceCachesAreOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := &careful{w: w}
	leaked := w.tokens(ana, "web")
	access, id := leaked.str("access_token"), leaked.str("id_token")
	if !server.accepts(access) || !server.accepts(id) {
		t.Fatal("not accepted before")
	}
	w.must(w.p.ring.Rotate(t.Context(), "ES256", true))
	w.must(w.p.ring.Rotate(t.Context(), "RS256", true))
	if w.active("cases", access) {
		t.Error("introspection calls it active")
	}
	w.clock.Advance(keyring.CacheLifetime)
	if server.accepts(access) || server.accepts(id) {
		t.Error("still accepted after one cache lifetime")
	}
	fresh := w.tokens(ana, "web")
	if !server.accepts(fresh.str("access_token")) || !server.accepts(fresh.str("id_token")) {
		t.Error("a new token is refused")
	}
	var sealed int
	w.count(&sealed, "SELECT count(*) FROM signing_keys WHERE state = 'discarded' AND length(sealed) > 0")
	if sealed != 0 {
		t.Errorf("%d discarded private keys are kept", sealed)
	}
}
