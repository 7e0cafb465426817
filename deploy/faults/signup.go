package main

import (
	"context"
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/mailbox"
	"ellis.example/deploy/internal/seed"
)

// mails are the links that came to the mailbox.
type mails struct {
	mu    sync.Mutex
	last  int               // id of the newest mail that was looked at
	links map[string]string // address → link that came last
}

// collect keeps what came to the mailbox since.
func (d *driver) collect() {
	d.mails.mu.Lock()
	defer d.mails.mu.Unlock()
	var fresh []mailbox.Mail
	for _, m := range d.sys.post.box.Mails("") {
		id, err := strconv.Atoi(m.ID)
		if err != nil {
			d.fail(err)
		}
		if id <= d.mails.last {
			break
		}
		fresh = append(fresh, m)
	}
	for i := len(fresh) - 1; i >= 0; i-- {
		m := fresh[i]
		d.mails.last, _ = strconv.Atoi(m.ID)
		for _, link := range m.Links {
			_, token, is := strings.Cut(link, "/signup/continue?token=")
			if !is {
				continue
			}
			d.mails.links[m.To] = link
			if err := d.ledger.write(record{Op: opMail, Who: m.To, Began: m.At, Ended: m.At, Status: http.StatusOK, Link: hashOf(token)}); err != nil {
				d.fail(err)
			}
		}
	}
}

const mailTime = 4 * time.Second

// mailed waits for the link that is mailed to an address; "" when none comes in time.
func (d *driver) mailed(address string) string {
	for began := time.Now(); time.Since(began) < mailTime; time.Sleep(20 * time.Millisecond) {
		d.collect()
		d.mails.mu.Lock()
		link := d.mails.links[address]
		delete(d.mails.links, address)
		d.mails.mu.Unlock()
		if link != "" {
			return link
		}
	}
	return ""
}

func newAddress() string { return "new-" + strings.ToLower(rand.Text()[:16]) + "@example.com" }

// askForMail begins a sign-up, and reports whether a mail was promised.
func (d *driver) askForMail(ctx context.Context, address string) bool {
	b := d.browser("", "")
	return d.visit(ctx, b, d.sys.issuer()+"/signup") &&
		d.submit(ctx, b, record{Op: opSignUp, Who: address}, "", map[string]string{"email": address}).answered()
}

// signUp opens an account, from the mail to the sign-out, and shows whatever can be used once twice at the same time.
func (d *driver) signUp(ctx context.Context, c *http.Client, choice *dice) {
	who := seed.Account{Email: newAddress(), Password: newSecret()}
	if !d.askForMail(ctx, who.Email) {
		return
	}
	link := d.mailed(who.Email)
	if link == "" {
		return
	}
	_, token, _ := strings.Cut(link, "token=")
	proof := record{Op: opProve, Who: who.Email, Link: hashOf(token)}
	proven := d.twice(ctx, link, [2]string{}, proof, "continue", nil)
	if proven == nil {
		return
	}
	mine := d.cookiesOf(proven)
	made := record{Op: opRegister, Who: who.Email, Link: proof.Link, Fresh: hashOf(who.Password)}
	registered := d.twice(ctx, d.sys.issuer()+"/signup/details", [2]string{mine, mine}, made, "", map[string]string{
		"given_name": "Noor", "family_name": "Haddad", "birth_month": "1", "birth_day": "2", "birth_year": "1990", "country": "MX", "locale": "en", "password": who.Password,
	})
	if registered == nil {
		return
	}
	p := &person{Account: who, cookies: d.cookiesOf(registered)}
	d.enter(ctx, p)
	d.consent(ctx, p)
	d.signOn(ctx, c, p, choice)
	if p.cookies != "" {
		d.signOut(ctx, c, p, choice)
	}
	d.expose(p.Email)
}

// twice sends one form from two browsers at the same time, and returns the one that was told that it is done.
func (d *driver) twice(ctx context.Context, page string, cookies [2]string, r record, button string, fields map[string]string) *agent.Agent {
	var done *agent.Agent
	var mu sync.Mutex
	var loaded, all sync.WaitGroup
	loaded.Add(len(cookies))
	for i := range cookies {
		all.Go(func() {
			b := d.browser(cookies[i], "")
			there := d.visit(ctx, b, page)
			loaded.Done()
			loaded.Wait()
			if there && d.submit(ctx, b, r, button, fields).answered() {
				mu.Lock()
				defer mu.Unlock()
				done = b
			}
		})
	}
	all.Wait()
	return done
}

// consent allows the app what it asks for.
func (d *driver) consent(ctx context.Context, p *person) {
	b := d.browser(p.cookies, "")
	if p.cookies != "" && d.visit(ctx, b, d.sys.issuer()+seed.NewAttempt().Target("")) {
		d.submit(ctx, b, record{Op: opConsent, Who: p.Email}, "allow", nil)
	}
}
