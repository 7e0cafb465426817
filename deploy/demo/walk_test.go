//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/seed"
)

// walker is somebody who uses the demo with what it printed.
type walker struct {
	*agent.Agent
	t *testing.T
}

func (w walker) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// signIn signs a person in at the portal, with both factors.
func (r *running) signIn(t *testing.T, p person) walker {
	t.Helper()
	w := walker{agent.New(), t}
	w.must(w.Get(t.Context(), r.Portal+"/signin"))
	w.must(w.Submit(t.Context(), "", map[string]string{"identifier": p.Email, "password": p.Password}))
	code, err := totp.GenerateCode(p.TOTPSecret, time.Now())
	w.must(err)
	w.must(w.Submit(t.Context(), "", map[string]string{"code": code}))
	if strings.HasPrefix(w.Page.URL.String(), r.Issuer) {
		w.must(w.Submit(t.Context(), "allow", nil))
	}
	return w
}

// checkWalks does with the people, codes and clients what they are for.
func (r *running) checkWalks(t *testing.T) {
	t.Helper()
	var ana walker
	for i, p := range r.People {
		w := r.signIn(t, p)
		for _, n := range p.Receipts {
			if w.Page.URL.String() != r.Portal+"/cases" || !strings.Contains(plain(w.Page.Text), n) {
				t.Errorf("%s does not see %s at %s: %s", p.Email, n, w.Page.URL, w.Page.Text)
			}
		}
		if i == 0 {
			ana = w
		}
	}
	for _, u := range r.Unclaimed {
		ana.must(ana.Get(t.Context(), r.Portal+"/claim"))
		ana.must(ana.Submit(t.Context(), "", map[string]string{"receipt": u.Receipt, "code": u.Code}))
		if !strings.HasPrefix(ana.Page.URL.String(), r.Portal+"/cases/") || !strings.Contains(plain(ana.Page.Text), u.Receipt) {
			t.Errorf("the code of %s claims nothing: at %s: %s", u.Receipt, ana.Page.URL, ana.Page.Text)
		}
	}
	for _, c := range r.Clients[1:3] {
		r.checkTokens(t, ana, c, 5)
	}
}

// plain leaves out what receipt numbers are grouped with.
func plain(text string) string { return regexp.MustCompile(`[\s\x{a0}-]`).ReplaceAllString(text, "") }

const verifier = "a-verifier-that-every-request-of-this-test-may-use-because-it-is-a-test"

// checkTokens runs the code flow of a client for somebody who is signed in and has so many cases, and asks the case API with
// the token.
func (r *running) checkTokens(t *testing.T, w walker, c client, cases int) {
	t.Helper()
	q := url.Values{
		"client_id": {c.ID}, "redirect_uri": {c.RedirectURIs[0]}, "response_type": {"code"}, "scope": {"openid offline_access cases:read"}, "state": {"x"},
		"code_challenge": {"5mR2KV9cLRIaka9c_qJFx1FsYqn2DTbxiASzFHjeV5Q"}, "code_challenge_method": {"S256"},
	}
	w.StopAt = func(u *url.URL) bool { return strings.HasPrefix(u.String(), c.RedirectURIs[0]) }
	w.must(w.Get(t.Context(), r.Issuer+"/authorize?"+q.Encode()))
	if w.Page.Location == "" {
		w.must(w.Submit(t.Context(), "allow", nil))
	}
	back, err := url.Parse(w.Page.Location)
	w.must(err)
	form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {c.RedirectURIs[0]}, "code_verifier": {verifier}}
	if c.Auth == "none" {
		form.Set("client_id", c.ID)
	}
	var header []string
	if c.Auth != "none" {
		header = []string{"Authorization", seed.Clients{c.ID: c.Secret}.Basic(c.ID)}
	}
	given, err := agent.Send(t.Context(), http.DefaultClient, http.MethodPost, r.Issuer+"/token", form, header...)
	w.must(err)
	got, err := seed.ReadTokens(given.Body, true)
	if err != nil {
		t.Errorf("%s gets no tokens at %s: %v: %d %s", c.ID, w.Page.Location, err, given.Status, given.Body)
		return
	}
	told, err := agent.Send(t.Context(), http.DefaultClient, http.MethodGet, r.CaseAPI+"/v1/cases", nil, "Authorization", "Bearer "+got.Access)
	w.must(err)
	var list struct {
		Items []any `json:"items"`
	}
	if err := json.Unmarshal(told.Body, &list); err != nil || len(list.Items) != cases {
		t.Errorf("%s sees %d cases: %d %s (%v)", c.ID, len(list.Items), told.Status, told.Body, err)
	}
}
