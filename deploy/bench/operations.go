package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"maps"
	"net/url"
	"sync/atomic"
	"time"

	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
)

// operation is one thing that is measured.
type operation struct {
	name    string
	service string  // whose time counts
	target  float64 // processor time that is wanted at most, in microseconds; 0: it is a matter of the yardsticks
	rounds  float64 // factor on the length of a round, where few operations fit into one; 0: 1
	hashes  bool    // it is compared with a bare hash
	// prepare makes what the workers need, once; nil: nothing.
	prepare func(context.Context, *stack) error
	// feed makes what n seconds of load use up, before each round, untimed; nil: nothing is used up.
	feed func(context.Context, *stack, time.Duration) error
	make func(*stack, int) (worker, error) // worker number i
}

func operations() []operation {
	tokens, personal := &pool{}, &pool{}
	return []operation{
		{name: "discovery", service: launch.IDP, target: 15, make: get("/.well-known/openid-configuration", `{"acr_values_supported"`)},
		{name: "jwks", service: launch.IDP, target: 15, make: get("/jwks", `{"keys":[{`)},
		{name: "client_credentials", service: launch.IDP, target: 100, make: clientCredentials},
		{name: "introspect", service: launch.IDP, target: 120, feed: tokens.machines, make: introspect(tokens)},
		{name: "introspect_warm", service: launch.IDP, target: 55, prepare: tokens.some, make: introspect(tokens)},
		{name: "refresh", service: launch.IDP, target: 250, prepare: needPeople, make: refresh},
		{name: "signon", service: launch.IDP, target: 500, prepare: needPeople, make: signOn},
		{name: "password_signin", service: launch.IDP, rounds: 2, hashes: true, prepare: needPeople, make: passwordSignIn},
		{name: "case_read", service: launch.CaseService, target: 140, prepare: needCases, feed: personal.persons, make: readCase(personal)},
		{name: "case_read_warm", service: launch.CaseService, target: 70, prepare: needCases, make: readCase(nil)},
	}
}

// one is a worker that has a connection and a function.
type one struct {
	*conn
	do func() error
}

func (w one) step() error { return w.do() }

// again is a worker that repeats a request. begin is how the right answer begins.
func again(c *conn, request []byte, begin string) one {
	return one{c, func() error {
		a, err := c.expect(200, request)
		if err == nil && !bytes.HasPrefix(a.body, []byte(begin)) {
			err = fmt.Errorf("another answer than expected: %.300s", a.body)
		}
		return err
	}}
}

func get(path, begin string) func(*stack, int) (worker, error) {
	return func(s *stack, _ int) (worker, error) {
		c := s.dialIDP()
		return again(c, c.request("GET", path, nil), begin), nil
	}
}

func clientCredentials(s *stack, _ int) (worker, error) {
	c := s.dialIDP()
	body := seed.ForMachine().Encode()
	return again(c, c.request("POST", "/token", []byte(body), "Authorization", s.clients.Basic(seed.Machine)), `{"access_token":"ey`), nil
}

// pool holds access tokens: each is taken once, or by turns.
type pool struct {
	tokens []string
	owners []int // whose they are: index of the person
	next   atomic.Int64
	once   bool
}

// takeOne returns the number of the next token, or -1.
func (p *pool) takeOne() int {
	n := int(p.next.Add(1)) - 1
	if p.once && n >= len(p.tokens) {
		return -1
	}
	return n % len(p.tokens)
}

// How many tokens a second of load may use up: more than a core can look at.
const (
	machinesPerSecond = 6000
	personsPerSecond  = 4000
	warmTokens        = 256
)

// machines fills the pool with tokens that nobody has shown yet.
func (p *pool) machines(ctx context.Context, s *stack, length time.Duration) error {
	return p.fill(ctx, s, int(length.Seconds()*machinesPerSecond), true, func(c *conn, _ int) (string, error) {
		t, err := s.forMachine(c)
		return t.Access, err
	})
}

// some fills the pool with tokens that are shown again and again.
func (p *pool) some(ctx context.Context, s *stack) error {
	return p.fill(ctx, s, warmTokens, false, func(c *conn, _ int) (string, error) {
		t, err := s.forMachine(c)
		return t.Access, err
	})
}

// persons fills the pool with tokens of people that nobody has shown yet.
func (p *pool) persons(ctx context.Context, s *stack, length time.Duration) error {
	return p.fill(ctx, s, int(length.Seconds()*personsPerSecond), true, func(c *conn, i int) (string, error) {
		t, err := s.renew(c, s.people[i].refresh)
		s.people[i].refresh = t.Refresh
		return t.Access, err
	})
}

// fill gets n tokens over as many connections as there are people.
func (p *pool) fill(ctx context.Context, s *stack, n int, once bool, another func(*conn, int) (string, error)) error {
	var lists [people][]string
	workers := make([]worker, people)
	for i := range workers {
		c := s.dialIDP()
		defer c.close() //nolint:revive // all of them are in use until the end
		workers[i] = one{c, func() error {
			if len(lists[i]) >= max(1, n/people) {
				return errDry
			}
			t, err := another(c, i)
			if err == nil {
				lists[i] = append(lists[i], t)
			}
			return err
		}}
	}
	r := drive(ctx, workers, startTime, func() usage { return usage{} })
	if r.failed > 0 {
		return fmt.Errorf("tokens to be shown: %v", r.errs)
	}
	p.tokens, p.owners, p.once = p.tokens[:0], p.owners[:0], once
	p.next.Store(0)
	for i, list := range lists {
		p.tokens = append(p.tokens, list...)
		for range list {
			p.owners = append(p.owners, i)
		}
	}
	return nil
}

func introspect(p *pool) func(*stack, int) (worker, error) {
	return func(s *stack, _ int) (worker, error) {
		c := s.dialIDP()
		basic := s.clients.Basic(seed.Machine)
		return one{c, func() error {
			n := p.takeOne()
			if n < 0 {
				return errDry
			}
			a, err := c.expect(200, c.request("POST", "/introspect", []byte("token="+p.tokens[n]), "Authorization", basic))
			if err == nil && !bytes.HasPrefix(a.body, []byte(`{"active":true,`)) {
				err = fmt.Errorf("a good token is called inactive: %.300s", a.body)
			}
			return err
		}}, nil
	}
}

// refresh follows a chain of refresh tokens of its own.
func refresh(s *stack, i int) (worker, error) {
	c := s.dialIDP()
	t, err := s.authorize(c, s.people[i%people].signedIn)
	next := t.Refresh
	return one{c, func() error {
		t, err := s.renew(c, next)
		next = t.Refresh
		return err
	}}, err
}

// authorize takes a browser that is signed in to tokens: authorization request, code, token request.
func (s *stack) authorize(c *conn, browser jar) (seed.Tokens, error) {
	try := seed.NewAttempt()
	c.jar = maps.Clone(browser)
	a, err := c.expect(303, c.request("GET", try.Target(""), nil))
	c.jar = nil
	if err != nil {
		return seed.Tokens{}, err
	}
	code, err := try.Code(a.location)
	if err != nil {
		return seed.Tokens{}, err
	}
	return s.token(c, seed.App, try.Redeem(code), true)
}

func signOn(s *stack, i int) (worker, error) {
	c := s.dialIDP()
	return one{c, func() error {
		_, err := s.authorize(c, s.people[i%people].signedIn)
		return err
	}}, nil
}

var errForm = errors.New("the page has no sign-in form")

// passwordSignIn is four requests: authorization request, the page, its form, and back to a code. The browser is known, and
// the app was allowed everything before.
func passwordSignIn(s *stack, i int) (worker, error) {
	c := s.dialIDP()
	p := s.people[i%people]
	return one{c, func() error {
		c.jar = maps.Clone(p.device)
		try := seed.NewAttempt()
		a, err := c.expect(303, c.request("GET", try.Target(""), nil))
		if err != nil {
			return err
		}
		at := a.location
		if a, err = c.expect(200, c.request("GET", at, nil)); err != nil {
			return err
		}
		token, ok := formToken(a.body)
		if !ok {
			return errForm
		}
		form := url.Values{"csrf_token": {token}, "identifier": {p.Email}, "password": {p.Password}}.Encode()
		if a, err = c.expect(303, c.request("POST", at, []byte(form), "Origin", s.cfg.Issuer())); err != nil {
			return err
		}
		if a, err = c.expect(303, c.request("GET", a.location, nil)); err != nil {
			return err
		}
		_, err = try.Code(a.location)
		return err
	}}, nil
}

// formToken finds the hidden token of the sign-in form.
func formToken(page []byte) (string, bool) {
	for form := range bytes.SplitSeq(page, []byte("<form ")) {
		if !bytes.Contains(form, []byte(`name="identifier"`)) {
			continue
		}
		_, rest, _ := bytes.Cut(form, []byte(`name="csrf_token" value="`))
		token, _, found := bytes.Cut(rest, []byte(`"`))
		return html.UnescapeString(string(token)), found
	}
	return "", false
}

// readCase reads the case of a person, each time with the next token of the pool; without one, always with the same.
func readCase(p *pool) func(*stack, int) (worker, error) {
	return func(s *stack, i int) (worker, error) {
		c := s.dialCases()
		who := s.people[i%people]
		read := func(token, id string) error {
			a, err := c.expect(200, c.request("GET", "/v1/cases/"+id, nil, "Authorization", "Bearer "+token))
			if err == nil && !bytes.HasPrefix(a.body, []byte(`{"id":"`+id)) {
				err = fmt.Errorf("another answer than the case: %.300s", a.body)
			}
			return err
		}
		if p != nil {
			return one{c, func() error {
				n := p.takeOne()
				if n < 0 {
					return errDry
				}
				return read(p.tokens[n], s.people[p.owners[n]].caseID)
			}}, nil
		}
		idp := s.dialIDP()
		defer idp.close()
		t, err := s.authorize(idp, who.signedIn)
		return one{c, func() error { return read(t.Access, who.caseID) }}, err
	}
}
