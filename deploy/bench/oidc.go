package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// attempt is one authorization request of the app.
type attempt struct{ verifier, state string }

func newAttempt() attempt { return attempt{verifier: rand.Text() + rand.Text(), state: rand.Text()} }

// target is the request as a path with a query.
func (a attempt) target() string {
	sum := sha256.Sum256([]byte(a.verifier))
	return "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {app}, "redirect_uri": {redirect}, "scope": {scopes}, "state": {a.state}, "nonce": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}

// code reads the authorization response.
func (a attempt) code(location string) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", err
	}
	q := u.Query()
	if !strings.HasPrefix(location, redirect+"?") || q.Get("state") != a.state || q.Get("code") == "" {
		return "", fmt.Errorf("no authorization response: %.300s", location)
	}
	return q.Get("code"), nil
}

// tokens is an answer of the token endpoint.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

var errTokens = errors.New("the token answer lacks a token")

// token asks the token endpoint as a client. person says whether the answer is about one: then it has all three tokens.
func (s *stack) token(c *conn, client string, form url.Values, person bool) (t tokens, err error) {
	a, err := c.expect(200, c.request("POST", "/token", []byte(form.Encode()), "Authorization", s.basic(client)))
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(a.body, &t); err != nil {
		return t, err
	}
	if t.Access == "" || (person && (t.Refresh == "" || t.ID == "")) {
		return t, errTokens
	}
	return t, nil
}

// redeem exchanges a code.
func (s *stack) redeem(c *conn, a attempt, code string) (tokens, error) {
	return s.token(c, app, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {a.verifier}}, true)
}

// renew exchanges a refresh token.
func (s *stack) renew(c *conn, refresh string) (tokens, error) {
	return s.token(c, app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}, true)
}

// forMachine asks for a token by client credentials.
func (s *stack) forMachine(c *conn) (tokens, error) {
	return s.token(c, machine, url.Values{"grant_type": {"client_credentials"}, "scope": {"cases:stats"}}, false)
}
