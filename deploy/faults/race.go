package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/seed"
)

// How many use how many of each kind of register at once.
const (
	clients = 64
	codes   = 16
	proofs  = 16
	lines   = 16
	turns   = 16
)

// Where the numbers of each kind begin.
const (
	firstProof   = codes
	firstLine    = firstProof + proofs
	firstSession = firstLine + lines
)

// race is many clients that use the same registers at the same time.
type race struct {
	d     *driver
	h     *history
	first map[int]string // the refresh token that a family begins with

	codes  [codes]url.Values
	proofs [proofs]proof
	visits []*visit // of each person
	known  [lines]struct {
		sync.Mutex
		tokens []string
	}
}

// visit is what one person has at two browsers: a session that lasts, and one that somebody may end.
type visit struct {
	cookies string // of the second
	since   time.Time
	ended   atomic.Bool
}

// visitTime is how long sessions are used without a new sign-in; they end when nobody was at the browser for longer.
const visitTime = 10 * time.Minute

// visitOf returns what a person has now, and keeps what is good of old, which may be nil.
func (d *driver) visitOf(ctx context.Context, p *person, old *visit) (*visit, error) {
	if old != nil && !old.ended.Load() && time.Since(old.since) < visitTime {
		return old, nil
	}
	v := &visit{since: time.Now()}
	p.cookies = ""
	if d.enter(ctx, p); p.cookies != "" {
		v.cookies = d.signIn(ctx, p)
	}
	if v.cookies == "" {
		return nil, fmt.Errorf("%s cannot sign in", p.Email)
	}
	return v, nil
}

// open makes the registers. Sessions that were not ended go on to be used.
func (d *driver) open(ctx context.Context, visits []*visit) (*race, error) {
	r := &race{d: d, first: map[int]string{}, visits: make([]*visit, len(d.sys.people))}
	c := newClient()
	copy(r.visits, visits)
	var err error
	for i, p := range d.sys.people {
		if r.visits[i], err = d.visitOf(ctx, p, r.visits[i]); err != nil {
			return nil, err
		}
	}
	for i := range r.codes {
		if r.codes[i], err = r.authorize(ctx, c, i); err != nil {
			return nil, err
		}
	}
	for i := range r.proofs {
		if r.proofs[i], err = d.newProof(); err != nil {
			return nil, err
		}
	}
	for i := range r.known {
		form, err := r.authorize(ctx, c, i)
		if err != nil {
			return nil, err
		}
		got, err := r.ask(ctx, c, form, true)
		if err != nil {
			return nil, err
		}
		r.first[firstLine+i], r.known[i].tokens = got.token, []string{got.token}
	}
	return r, nil
}

// authorize returns the token request for a new code of a person's lasting session.
func (r *race) authorize(ctx context.Context, c *http.Client, n int) (url.Values, error) {
	p, try := r.d.sys.people[n%people], seed.NewAttempt()
	a, err := agent.Send(ctx, c, http.MethodGet, r.d.sys.issuer()+try.Target("none"), nil, "Cookie", p.cookies)
	if err != nil {
		return nil, err
	}
	code, err := try.Code(a.Header.Get("Location"))
	if err != nil {
		return nil, fmt.Errorf("%w: status %d", err, a.Status)
	}
	return try.Redeem(code), nil
}

// ask asks the token endpoint; anything but success and a refusal is an error.
func (r *race) ask(ctx context.Context, c *http.Client, form url.Values, app bool) (told, error) {
	var header []string
	if app {
		header = []string{"Authorization", r.d.sys.clients.Basic(seed.App)}
	}
	a, err := agent.Send(ctx, c, http.MethodPost, r.d.sys.issuer()+"/token", form, header...)
	if err != nil {
		return told{}, err
	}
	if a.Status != http.StatusOK && a.Status != http.StatusBadRequest && (app || a.Status != http.StatusUnauthorized) {
		return told{}, fmt.Errorf("token: %d %.200s", a.Status, a.Body)
	}
	var got seed.Tokens
	err = json.Unmarshal(a.Body, &got)
	return told{ok: a.Status == http.StatusOK, token: got.Refresh}, err
}

// run lets all clients go at once, and returns when all are done. Errors: an answer that none of theirs may be.
func (r *race) run(ctx context.Context, seed int) error {
	r.h = &history{began: time.Now()}
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			c, choice := lasting(), dice(seed*100+n)
			defer c.CloseIdleConnections()
			for _, once := range []struct {
				register int
				form     url.Values
				app      bool
			}{{n % codes, r.codes[n%codes], true}, {firstProof + n%proofs, r.proofs[n%proofs].form, false}} {
				r.h.add(n, asked{register: once.register}, func() (told, error) {
					out, err := r.ask(ctx, c, once.form, once.app)
					return told{ok: out.ok}, err // what it leads to is nobody's in this history
				})
			}
			for range turns {
				r.turn(ctx, c, n, &choice)
			}
		})
	}
	all.Wait()
	return r.h.failed()
}

// lasting is a client that keeps its connection: here nothing breaks, and more is asked.
func lasting() *http.Client {
	c := newClient()
	c.Transport = &http.Transport{MaxIdleConnsPerHost: 1}
	return c
}

func (r *race) turn(ctx context.Context, c *http.Client, n int, choice *dice) {
	switch roll := choice.roll(60); {
	case roll < 12:
		r.session(ctx, c, n, choice)
		return
	case roll == 12:
		i := choice.roll(lines)
		r.h.add(n, asked{register: firstLine + i, revoke: true}, func() (told, error) {
			a, err := agent.Send(ctx, c, http.MethodPost, r.d.sys.issuer()+"/revoke", url.Values{"token": {r.latest(i, 0)}}, "Authorization", r.d.sys.clients.Basic(seed.App))
			return told{ok: err == nil && a.Status == http.StatusOK}, err
		})
		return
	}
	i := choice.roll(lines)
	token := r.latest(i, choice.roll(12)/10) // mostly the latest, now and then the one before
	out := r.h.add(n, asked{register: firstLine + i, token: token}, func() (told, error) { return r.ask(ctx, c, seed.Renew(token), true) })
	k := &r.known[i]
	k.Lock()
	defer k.Unlock()
	if out.ok && out.token != k.tokens[len(k.tokens)-1] {
		k.tokens = append(k.tokens, out.token)
	}
}

// latest is the last refresh token of a family that came, or one of those before.
func (r *race) latest(line, before int) string {
	k := &r.known[line]
	k.Lock()
	defer k.Unlock()
	return k.tokens[max(0, len(k.tokens)-1-before)]
}

// session asks for a code with a session, or ends it.
func (r *race) session(ctx context.Context, c *http.Client, n int, choice *dice) {
	i := choice.roll(len(r.visits))
	v, in := r.visits[i], asked{register: firstSession + i, session: true}
	if choice.roll(60) == 0 {
		in.revoke = true
		v.ended.Store(true)
		r.h.add(n, in, func() (told, error) { return r.signOut(ctx, v.cookies) })
		return
	}
	r.h.add(n, in, func() (told, error) {
		try := seed.NewAttempt()
		a, err := agent.Send(ctx, c, http.MethodGet, r.d.sys.issuer()+try.Target("none"), nil, "Cookie", v.cookies)
		if err != nil {
			return told{}, err
		}
		code, refused, err := try.Response(a.Header.Get("Location"))
		if err == nil && refused != "" && refused != "login_required" {
			err = errors.New("authorize: " + refused)
		}
		return told{ok: code != ""}, err
	})
}

// signOut ends a session. One that has ended already has no form for it, and is as good.
func (r *race) signOut(ctx context.Context, cookies string) (told, error) {
	b := r.d.browser(cookies, "")
	err := b.Get(ctx, r.d.sys.issuer()+"/logout")
	if err == nil && len(b.Page.Forms) > 0 {
		err = b.Submit(ctx, "signout", nil)
	}
	if err == nil && b.Page.Status >= http.StatusBadRequest {
		err = fmt.Errorf("sign-out: %d %.200s", b.Page.Status, b.Page.Text)
	}
	return told{ok: err == nil}, err
}

const checkTime = time.Minute

var errModel = errors.New("no single history explains what the clients saw")

// check looks for an order of what was done in which every register was what it may be.
func (r *race) check() error {
	if got := porcupine.CheckOperationsTimeout(singleUse(r.first), r.h.ops, checkTime); got != porcupine.Ok {
		return fmt.Errorf("%w: %s over %d operations", errModel, got, len(r.h.ops))
	}
	return nil
}

// races lets one race follow another until a time. It returns how much was asked. Errors: errModel; those of the races.
func (d *driver) races(ctx context.Context, seed int, end time.Time, stdout io.Writer) (ops int, err error) {
	began := time.Now()
	var visits []*visit
	for n := 1; ctx.Err() == nil && (n == 1 || time.Now().Before(end)); n++ {
		r, err := d.open(ctx, visits)
		if err == nil {
			err = r.run(ctx, seed+n)
		}
		if err == nil {
			err = r.check()
		}
		if err != nil {
			return ops, fmt.Errorf("race %d: %w", n, err)
		}
		visits = r.visits
		if ops += len(r.h.ops); n%50 == 0 {
			fmt.Fprintf(stdout, "%-8s %6d races, %8d operations, %.0f a second\n", d.sys.store, n, ops, float64(ops)/time.Since(began).Seconds())
		}
	}
	fmt.Fprintf(stdout, "%s: %d operations of %d clients, %.0f a second, each history is linearizable\n", d.sys.store, ops, clients, float64(ops)/time.Since(began).Seconds())
	return ops, ctx.Err()
}
