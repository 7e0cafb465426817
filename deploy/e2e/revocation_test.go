package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/seed"
)

// tokens are what the app has of a person.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// direct speaks to the services as a program does, without redirects.
var direct = &http.Client{Timeout: 20 * time.Second, CheckRedirect: agent.NoRedirect}

// form sends a form as the app's server and returns the answer's status and body.
func (a *app) form(t *testing.T, path string, form url.Values) (int, []byte) {
	t.Helper()
	got, err := agent.Send(t.Context(), direct, http.MethodPost, demo.Issuer+path, form, "Authorization", seed.Clients{a.id: a.secret}.Basic(a.id))
	if err != nil {
		t.Fatal(err)
	}
	return got.Status, got.Body
}

// exchange asks the token endpoint for tokens.
func (a *app) exchange(t *testing.T, form url.Values) tokens {
	t.Helper()
	status, body := a.form(t, "/token", form)
	var out tokens
	if err := json.Unmarshal(body, &out); err != nil || status != http.StatusOK || out.Access == "" || out.Refresh == "" {
		t.Fatalf("no tokens (%v): %d %.300s", err, status, body)
	}
	secrets.add("access token", out.Access)
	secrets.add("refresh token", out.Refresh)
	return out
}

func (a *app) refresh(t *testing.T, token string) tokens {
	t.Helper()
	return a.exchange(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// tokensFor lets a person who is signed in allow the app what it asks for.
func (a *app) tokensFor(t *testing.T, v visitor) tokens {
	t.Helper()
	state := fmt.Sprint("state-", t.Name(), time.Now().UnixNano())
	v.Open(a.authorize(map[string]string{"state": state}))
	if strings.Contains(v.URL(), "/consent") {
		v.Submit("allow", nil)
	}
	code := a.arrived(t, "state", state).Values.Get("code")
	return a.exchange(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.callback()}, "code_verifier": {verifier},
	})
}

// cases asks the case API for the person's cases and returns the answer's status and challenge.
func cases(t *testing.T, token string) (int, string) {
	t.Helper()
	got, err := agent.Send(t.Context(), direct, http.MethodGet, demo.CaseAPI+"/v1/cases", nil, "Authorization", "Bearer "+token)
	if err != nil {
		t.Fatal(err)
	}
	return got.Status, got.Header.Get("WWW-Authenticate")
}

// delays are the times from the answer that revokes to the API's first refusal.
type delays struct {
	mu  sync.Mutex
	all map[string][]time.Duration
}

func (d *delays) add(way string, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all[way] = append(d.all[way], took)
}

// refusedSoon waits until the API refuses a token that was just revoked, and notes how long it took.
func (d *delays) refusedSoon(t *testing.T, way, token string) {
	t.Helper()
	began := time.Now()
	for {
		status, challenge := cases(t, token)
		took := time.Since(began)
		if status == http.StatusUnauthorized {
			if !strings.Contains(challenge, "the access token was revoked") {
				t.Errorf("%s: %s", way, challenge)
			}
			d.add(way, took)
			return
		}
		if took > 5*time.Second {
			t.Errorf("%s: still taken after %v", way, took)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// wayToRevoke ends a token that the API has seen.
type wayToRevoke struct {
	name string
	once bool // the person cannot go on afterwards
	do   func(t *testing.T, p *person, v visitor, of tokens)
}

func waysToRevoke() []wayToRevoke {
	revoke := func(t *testing.T, token string) {
		if status, body := rp.form(t, "/revoke", url.Values{"token": {token}}); status != http.StatusOK {
			t.Errorf("%d %.300s", status, body)
		}
	}
	return []wayToRevoke{
		{"sign-out", true, func(_ *testing.T, _ *person, v visitor, _ tokens) {
			v.Open(demo.Issuer + "/signout")
			v.Submit("signout", nil)
		}},
		{"permission withdrawn", false, func(_ *testing.T, _ *person, v visitor, _ tokens) {
			v.Open(demo.Issuer + "/account/apps")
			v.Submit("withdraw", nil)
		}},
		{"password changed", true, func(_ *testing.T, p *person, v visitor, _ tokens) {
			fresh := p.Password + " and more"
			secrets.add("password", fresh)
			v.Open(demo.Issuer + "/account/password")
			v.Submit("", map[string]string{"current_password": p.Password, "new_password": fresh, "end_others": "1"})
		}},
		{"access token revoked", false, func(t *testing.T, _ *person, _ visitor, of tokens) { revoke(t, of.Access) }},
		{"refresh token revoked", false, func(t *testing.T, _ *person, _ visitor, of tokens) { revoke(t, of.Refresh) }},
		{"refresh token reused", false, func(t *testing.T, _ *person, _ visitor, of tokens) {
			next := rp.refresh(t, of.Refresh)
			rp.refresh(t, next.Refresh) // so that the first one is no retry any more
			if status, body := rp.form(t, "/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {of.Refresh}}); status != http.StatusBadRequest {
				t.Errorf("%d %.300s", status, body)
			}
		}},
		{"account disabled", true, func(t *testing.T, p *person, _ visitor, _ tokens) {
			demo.command(t, "idp", "user", "disable", p.Email, "--reason", "test")
		}},
	}
}

// TestAttack_D10_WhatIsRevokedIsRefusedByTheAPIWithinASecond walks the ways in which access ends and measures how long the
// case API takes a token on that it has seen before.
func TestAttack_D10_WhatIsRevokedIsRefusedByTheAPIWithinASecond(t *testing.T) {
	t.Parallel()
	d := &delays{all: map[string][]time.Duration{}}
	t.Run("ways", func(t *testing.T) {
		for _, way := range waysToRevoke() {
			t.Run(way.name, func(t *testing.T) {
				t.Parallel()
				p, v := newPerson(t, "en"), newPlain(t)
				p.settle(v, false)
				for range 12 {
					of := rp.tokensFor(t, v)
					if status, challenge := cases(t, of.Access); status != http.StatusOK {
						t.Fatalf("before: %d %s", status, challenge)
					}
					way.do(t, p, v, of)
					d.refusedSoon(t, way.name, of.Access)
					if way.once {
						break
					}
				}
			})
		}
	})
	var all []time.Duration
	for name, took := range d.all {
		all = append(all, took...)
		t.Logf("%-24s %v", name, took)
	}
	if len(all) < len(waysToRevoke()) {
		t.Fatalf("%d measurements", len(all))
	}
	slices.Sort(all)
	t.Logf("median %v, longest %v of %d", all[len(all)/2], all[len(all)-1], len(all))
	if longest := all[len(all)-1]; longest > time.Second {
		t.Errorf("it took up to %v", longest)
	}
}
