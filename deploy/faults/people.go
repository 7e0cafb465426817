package main

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"ellis.example/deploy/internal/seed"
)

// signIn signs a person in at a browser that the provider knows, and returns its cookies; "" when that did not go.
func (d *driver) signIn(ctx context.Context, p *person) string {
	b := d.browser(p.device, "")
	if !d.visit(ctx, b, d.sys.issuer()+seed.NewAttempt().Target("")) {
		return ""
	}
	for _, secret := range []string{p.Password, p.perhaps} {
		if secret == "" {
			break
		}
		got := d.submit(ctx, b, record{Op: opSignIn, Who: p.Email, Secret: hashOf(secret)}, "", map[string]string{"identifier": p.Email, "password": secret})
		if got.answered() {
			p.Password, p.perhaps = secret, ""
			cookies := d.cookiesOf(b)
			p.device = one(cookies, deviceCookie)
			return cookies
		}
		if got.Status != http.StatusUnprocessableEntity {
			return ""
		}
	}
	return ""
}

// enter makes sure that a person is signed in.
func (d *driver) enter(ctx context.Context, p *person) {
	if p.device == "" {
		p.device = one(p.cookies, deviceCookie)
	}
	if p.cookies != "" {
		return
	}
	if p.cookies = d.signIn(ctx, p); p.cookies == "" {
		time.Sleep(100 * time.Millisecond)
	}
}

// signOut ends a session as an app asks for it (OpenID Connect RP-Initiated Logout §2), or as its person does.
func (d *driver) signOut(ctx context.Context, c *http.Client, p *person, choice *dice) {
	b := d.browser(p.cookies, "")
	if !d.visit(ctx, b, d.sys.issuer()+[]string{"/logout?client_id=" + seed.App, "/signout"}[choice.roll(2)]) {
		return
	}
	d.left(ctx, c, p, choice, p.cookies, d.submit(ctx, b, record{Op: opSignOut, Who: p.Email}, "signout", nil))
}

// leave ends all sessions of a person, of which there are two.
func (d *driver) leave(ctx context.Context, c *http.Client, p *person, choice *dice) {
	other := d.signIn(ctx, p)
	b := d.browser(p.cookies, "")
	if !d.visit(ctx, b, d.sys.issuer()+"/account/sessions") {
		return
	}
	d.left(ctx, c, p, choice, other, d.submit(ctx, b, record{Op: opLeave, Who: p.Email}, "here too", nil))
}

// left goes on after a session was ended, or may have been. ended are the cookies of one that was.
func (d *driver) left(ctx context.Context, c *http.Client, p *person, choice *dice, ended string, got record) {
	if got.Op != "" && !got.answered() && !got.unsure() && got.Missed == "" {
		return
	}
	families := p.families
	p.families, p.cookies = nil, ""
	if got.answered() {
		d.gone(ctx, c, p, choice, families, ended, got.Ended)
	}
}

// gone tries what ended at a time: at the provider from then on, at the API a little later. The oracle says what may come of it.
func (d *driver) gone(ctx context.Context, c *http.Client, p *person, choice *dice, families []*family, cookies string, ended time.Time) {
	if cookies != "" {
		d.authorize(ctx, c, p, seed.NewAttempt(), cookies)
	}
	if len(families) == 0 {
		return
	}
	f := families[choice.roll(len(families))]
	d.token(ctx, c, p, record{Op: opRefresh, Who: p.Email, Shown: f.refresh}, seed.Renew(f.refresh))
	if choice.roll(3) == 0 {
		time.Sleep(reach - time.Since(ended) + time.Millisecond)
		d.readCase(ctx, c, p, f.access)
	}
}

func newSecret() string { return "quiet-" + strings.ToLower(rand.Text()[:12]) + "-harbor" }

// changePassword takes a new password, with which the other session ends and everything that the app holds.
func (d *driver) changePassword(ctx context.Context, c *http.Client, p *person, choice *dice) {
	other, old, fresh := d.signIn(ctx, p), p.Password, newSecret()
	b := d.browser(p.cookies, "")
	if !d.visit(ctx, b, d.sys.issuer()+"/account/password") {
		return
	}
	got := d.submit(ctx, b, record{Op: opPassword, Who: p.Email, Secret: hashOf(old), Fresh: hashOf(fresh)}, "", map[string]string{"current_password": old, "new_password": fresh})
	switch {
	case got.answered():
	case got.Op == "" || got.Missed != "" || got.Status == http.StatusUnprocessableEntity:
		p.cookies = "" // it was too long ago that this session was signed in, or it has ended
		return
	case !got.unsure():
		return
	default: // nobody knows which one it is now
		p.perhaps, p.cookies, p.families = fresh, "", nil
		return
	}
	families, before := p.families, p.cookies
	p.Password, p.cookies, p.families = fresh, d.cookiesOf(b), nil
	if choice.roll(2) == 0 {
		other = before
	}
	d.gone(ctx, c, p, choice, families, other, got.Ended)
	if choice.roll(2) == 0 {
		d.signIn(ctx, &person{Account: seed.Account{Email: p.Email, Password: old}, device: p.device})
	}
}
