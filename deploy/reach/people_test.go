package reach

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/seed"
)

// person is somebody who is signed in in one browser, and lets the app have tokens.
type person struct {
	*cluster
	seed.Account
	browser *agent.Agent // nil: signed in nowhere
}

// newPerson makes somebody whom nobody played before.
func (c *cluster) newPerson(ctx context.Context) (*person, error) {
	p := &person{cluster: c, Account: seed.Somebody(int(c.people.Add(1)))}
	return p, seed.CreateAccount(ctx, c.cfg, p.Account)
}

// tokens returns new ones of the app, for a session that is there or a new one.
func (p *person) tokens(ctx context.Context) (seed.Tokens, error) {
	if p.browser == nil {
		t, cookies, err := p.clients.SignIn(ctx, p.cfg.Issuer(), p.Account)
		if err != nil {
			return t, err
		}
		home, err := url.Parse(p.cfg.Issuer())
		p.browser = agent.New()
		p.browser.SetCookies(home, cookies...)
		return t, err
	}
	try := seed.NewAttempt()
	p.browser.StopAt = func(u *url.URL) bool { return strings.HasPrefix(u.String(), seed.Redirect) }
	if err := p.browser.Get(ctx, p.cfg.Issuer()+try.Target("none")); err != nil {
		return seed.Tokens{}, err
	}
	code, err := try.Code(p.browser.Page.Location)
	if err != nil {
		p.browser = nil // the session may be what is missing
		return seed.Tokens{}, err
	}
	return p.asked(ctx, try.Redeem(code), seed.App)
}

// asked asks the token endpoint as a client.
func (c *cluster) asked(ctx context.Context, form url.Values, client string) (t seed.Tokens, err error) {
	a, err := c.post(ctx, "/token", form, client)
	if err != nil {
		return t, err
	}
	if a.Status != http.StatusOK {
		return t, fmt.Errorf("the token endpoint answers %d %.200s", a.Status, a.Body)
	}
	return seed.ReadTokens(a.Body, client == seed.App)
}

var errNoSuccess = errors.New("what revokes did not succeed")

// press opens a page of the provider and sends its form. It returns when the form was answered; where that leads is not
// looked at, for it takes time.
func (p *person) press(ctx context.Context, page, button string, fields map[string]string) (time.Time, error) {
	p.browser.StopAt = nil
	if err := p.browser.Get(ctx, p.cfg.Issuer()+page); err != nil {
		return time.Time{}, err
	}
	p.browser.StopAt = func(*url.URL) bool { return true }
	err := p.browser.Submit(ctx, button, fields)
	at := time.Now()
	if got := p.browser.Page; err == nil && got.Status != http.StatusSeeOther {
		err = fmt.Errorf("%w: %s answers %d: %.200s", errNoSuccess, page, got.Status, got.Text)
	}
	return at, err
}

// revoke is RFC 7009.
func (c *cluster) revoke(ctx context.Context, token string) (time.Time, error) {
	a, err := c.post(ctx, "/revoke", url.Values{"token": {token}}, seed.App)
	at := time.Now()
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("%w: /revoke answers %d: %.200s", errNoSuccess, a.Status, a.Body)
	}
	return at, err
}

// byCommand runs a command of the provider, and returns when it said that it is done.
func (c *cluster) byCommand(ctx context.Context, args ...string) (time.Time, error) {
	err := c.command(ctx, args...)
	return time.Now(), err
}

// wayToRevoke is one way in which an access token of a person ends.
type wayToRevoke struct {
	name string
	ends bool // the session, too, or what it rests on
	// do revokes, and returns when it was answered.
	do   func(ctx context.Context, p *person, of seed.Tokens) (time.Time, error)
	undo func(ctx context.Context, p *person) error // so that the person can go on; nil: nothing has to be done
}

// waysToRevoke are all of them. The first two cost little: a long run goes through them more often.
func waysToRevoke() []wayToRevoke {
	all := []wayToRevoke{
		{name: "access token", do: func(ctx context.Context, p *person, of seed.Tokens) (time.Time, error) {
			return p.revoke(ctx, of.Access)
		}},
		{name: "grant", do: func(ctx context.Context, p *person, of seed.Tokens) (time.Time, error) {
			return p.revoke(ctx, of.Refresh)
		}},
		{name: "sign-out", ends: true, do: func(ctx context.Context, p *person, _ seed.Tokens) (time.Time, error) {
			return p.press(ctx, "/signout", "signout", nil)
		}},
		{name: "permission withdrawn", ends: true, do: func(ctx context.Context, p *person, _ seed.Tokens) (time.Time, error) {
			return p.press(ctx, "/account/apps", "withdraw", nil)
		}},
		{name: "password changed", ends: true, do: changePassword},
		{name: "account disabled", ends: true, do: func(ctx context.Context, p *person, _ seed.Tokens) (time.Time, error) {
			return p.byCommand(ctx, "user", "disable", p.Email, "--reason", "test")
		}, undo: func(ctx context.Context, p *person) error {
			defer time.Sleep(time.Second) // what is issued in the second of the event is void
			return p.command(ctx, "user", "enable", p.Email, "--reason", "test")
		}},
	}
	if *revocations > 0 {
		for range 6 {
			all = append(all, all[:2]...)
		}
	}
	return all
}

func changePassword(ctx context.Context, p *person, _ seed.Tokens) (time.Time, error) {
	next := seed.Somebody(0).Password
	at, err := p.press(ctx, "/account/password", "", map[string]string{"current_password": p.Password, "new_password": next, "end_others": "1"})
	if err == nil {
		p.Password = next
	}
	return at, err
}

// kid is the key that signed a token.
func kid(token string) (string, error) {
	head, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return "", err
	}
	var h struct {
		KID string `json:"kid"`
	}
	return h.KID, json.Unmarshal(text, &h)
}
