package main

import (
	"context"
	"net/url"
	"strings"

	"ellis.example/deploy/internal/seed"
)

const people = 16

// person is somebody who signed in once and allowed the app what it asks for.
type person struct {
	seed.Account
	device   jar    // a browser that is known
	signedIn jar    // the same browser, signed in
	refresh  string // a refresh token of the app
	caseID   string
}

// needPeople makes the people once: an account by command, then a sign-in with consent at the front door.
func needPeople(ctx context.Context, s *stack) error {
	if s.people != nil {
		return nil
	}
	for i := range people {
		p := person{Account: seed.Somebody(i), signedIn: jar{}, device: jar{}}
		if err := seed.CreateAccount(ctx, s.cfg, p.Account); err != nil {
			return err
		}
		t, cookies, err := s.clients.SignIn(ctx, s.cfg.Issuer(), p.Account)
		if err != nil {
			return err
		}
		p.refresh = t.Refresh
		for _, c := range cookies {
			p.signedIn[c.Name] = c.Value
			if strings.Contains(c.Name, "device") {
				p.device[c.Name] = c.Value
			}
		}
		s.people = append(s.people, p)
	}
	return nil
}

// importLine is a case in the form that `case import` reads.
const importLine = `{"form":"I-765","submitted":"2026-01-05","events":[{"code":"received","at":"2026-01-09T09:00:00Z"},{"code":"biometrics_scheduled","at":"2026-02-01T09:00:00Z"}],"appointments":[{"kind":"biometrics","at":"2030-03-04T10:00:00-05:00","place":"Riverton Application Support Center","address":"210 Harbor Street, Riverton"}],"claimable":false}` + "\n"

// needCases gives each person a case.
func needCases(ctx context.Context, s *stack) error {
	if err := needPeople(ctx, s); err != nil || s.people[0].caseID != "" {
		return err
	}
	cases, err := seed.ImportCases(ctx, s.cfg, strings.Repeat(importLine, people))
	if err != nil {
		return err
	}
	for i, c := range cases {
		if err := seed.AssignCases(ctx, s.cfg, s.people[i].Email, c.Receipt); err != nil {
			return err
		}
		s.people[i].caseID = c.ID
	}
	return nil
}

// token asks the token endpoint as a client. person says whether the answer is about one.
func (s *stack) token(c *conn, client string, form url.Values, person bool) (t seed.Tokens, err error) {
	a, err := c.expect(200, c.request("POST", "/token", []byte(form.Encode()), "Authorization", s.clients.Basic(client)))
	if err != nil {
		return t, err
	}
	return seed.ReadTokens(a.body, person)
}

// renew exchanges a refresh token.
func (s *stack) renew(c *conn, refresh string) (seed.Tokens, error) {
	return s.token(c, seed.App, seed.Renew(refresh), true)
}

// forMachine asks for a token by client credentials.
func (s *stack) forMachine(c *conn) (seed.Tokens, error) {
	return s.token(c, seed.Machine, seed.ForMachine(), false)
}
