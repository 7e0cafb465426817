package main

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// Each thing that opens something works in the last second of its life, and not in the first one after it.
func TestAttack_B20_EverythingEndsInTime(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		w.codesEnd()
		w.flowsEnd()
		w.accessEnds()
		w.idleFamiliesEnd()
		w.familiesEnd()
	})
}

// ends asks for something a second before its end, and at it.
func (w *world) ends(what string, life time.Duration, works func() bool) {
	w.Helper()
	w.clock.Advance(life - time.Second)
	if !works() {
		w.Errorf("%s ends before %v", what, life)
	}
	w.clock.Advance(time.Second)
	if works() {
		w.Errorf("%s outlives %v", what, life)
	}
}

func (w *world) codesEnd() {
	w.Helper()
	codes := []string{w.newCode(ana, "web"), w.newCode(ana, "web")}
	w.ends("a code", time.Minute, func() bool {
		code := codes[0]
		codes = codes[1:]
		return w.redeem("web", code).status == http.StatusOK
	})
}

// A request for consent that lies on a screen is answered within half an hour, or asked again.
func (w *world) flowsEnd() {
	w.Helper()
	in := w.withConsent(ana)
	tabs := []*page{in.authorize(request("web", "prompt", "consent")), in.authorize(request("web", "prompt", "consent"))}
	for range 2 { // meanwhile the session is used, and goes on
		w.clock.Advance(14 * time.Minute)
		in.get("/account")
	}
	w.ends("a request", 2*time.Minute, func() bool {
		p := tabs[0]
		tabs = tabs[1:]
		return p.submit("decision", "allow").out != ""
	})
}

func (w *world) accessEnds() {
	w.Helper()
	api, info := w.tokens(ana, "web"), w.tokens(ana, "web", "scope", "openid")
	machine := w.machine("machine")
	_, id := claims(api.str("id_token"))
	if life := id["exp"].(float64) - id["iat"].(float64); life != 600 {
		w.Errorf("an ID token lives %v s", life)
	}
	for _, a := range []answer{api, info, machine} {
		_, c := claims(a.str("access_token"))
		if life := c["exp"].(float64) - c["iat"].(float64); life != 300 || a.num("expires_in") != 300 {
			w.Errorf("an access token lives %v s, and is said to live %v", life, a.num("expires_in"))
		}
	}
	var alive []bool
	w.ends("every access token", 5*time.Minute, func() bool {
		alive = []bool{
			w.active("cases", api.str("access_token")), w.active("web", api.str("access_token")), w.active("web", info.str("access_token")),
			w.userinfo(info.str("access_token")).status == http.StatusOK, w.active("cases", machine.str("access_token")),
		}
		return !slices.Contains(alive, false)
	})
	if slices.Contains(alive, true) {
		w.Error("some access token outlives five minutes:", alive)
	}
}

// rotated refreshes with a client's token and keeps what is next. It reports whether that was possible.
func (w *world) rotated(client string, token *string) bool {
	w.Helper()
	a := w.refresh(client, *token)
	if a.status != http.StatusOK {
		w.wants(client, a, http.StatusBadRequest, "invalid_grant")
		return false
	}
	*token = a.str("refresh_token")
	return true
}

// Clients of each sort: a secret and a key, with and without rotation, and none.
var offline = []string{"web", "key", "spa", "native"}

func (w *world) families() map[string]*string {
	w.Helper()
	out := map[string]*string{}
	for _, client := range offline {
		token := w.tokens(ana, client).str("refresh_token")
		out[client] = &token
	}
	return out
}

func (w *world) idleFamiliesEnd() {
	w.Helper()
	const idle = 14 * 24 * time.Hour
	used, unused := w.families(), w.families()
	w.clock.Advance(idle - time.Second)
	for client, token := range used {
		if !w.rotated(client, token) {
			w.Errorf("%s: a family ends within 14 days of no use", client)
		}
	}
	w.clock.Advance(time.Second)
	for client, token := range unused {
		if w.active(introspecting(client), *token) || w.rotated(client, token) {
			w.Errorf("%s: a family outlives 14 days of no use", client)
		}
	}
}

// introspecting is a client that may ask about the tokens of a client: itself, if it has credentials.
func introspecting(client string) string {
	if client == "spa" || client == "native" {
		return "web"
	}
	return client
}

// No use makes a family live longer than 30 days.
func (w *world) familiesEnd() {
	w.Helper()
	began := w.clock.Now()
	all := w.families()
	for w.clock.Now().Before(began.Add(24 * 24 * time.Hour)) {
		w.clock.Advance(6 * 24 * time.Hour)
		for client, token := range all {
			if !w.rotated(client, token) {
				w.Errorf("%s: a family that is used ended after %v", client, w.clock.Now().Sub(began))
			}
		}
	}
	w.clock.Advance(began.Add(30*24*time.Hour - time.Second).Sub(w.clock.Now()))
	for client, token := range all {
		if !w.rotated(client, token) {
			w.Errorf("%s: a family ends before 30 days", client)
		}
	}
	w.clock.Advance(time.Second)
	for client, token := range all {
		if w.active(introspecting(client), *token) || w.rotated(client, token) {
			w.Errorf("%s: a family outlives 30 days", client)
		}
	}
}
