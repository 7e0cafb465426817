package throttle

import (
	"context"
	"time"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/rate"
)

// Kind is a kind of request that anybody can send, and that costs something.
type Kind string

// The kinds. What is limited is one network's share of each; nobody who has proven who they are is.
const (
	Begin      Kind = "begin"       // a sign-in that begins: at /authorize, or at a page that needs one
	Form       Kind = "form"        // a form of somebody who is not signed in
	Failure    Kind = "failure"     // a client or token that is not what it says; one that is right is never limited
	SignUpMail Kind = "signup_mail" // a mail to an address that somebody typed
)

// Limits are those of each network, and of all together.
type Limits struct {
	Begin, Form, Failure rate.Limit
	SignUpMail           rate.Limit // of one network
	SignUpMails          rate.Limit // of all networks together
	// MailQueue is how many mails may wait to be sent before sign-up stops asking for more; zero: any number.
	MailQueue int
}

// DefaultLimits leave room for a large office behind one address.
func DefaultLimits() Limits {
	return Limits{
		Begin: rate.PerSecond(10, 600), Form: rate.PerSecond(10, 600), Failure: rate.PerSecond(10, 600),
		SignUpMail: rate.PerHour(100), SignUpMails: rate.PerHour(2000), MailQueue: 10_000,
	}
}

// The faults of networks. Neither says anything about an account or a client.
var (
	ErrCrowded   = fault.New(fault.TooMany, "too_many_requests", "too many requests came from this network; wait a moment and try again")
	ErrMailBound = fault.New(fault.Unavailable, "too_many_mails", "too many mails are on their way; try again later")
)

// MailPause is what Retry-After says when too many mails wait.
const MailPause = 5 * time.Minute

// Networks limits what strangers cost, by the part of the address space that one subscriber holds.
type Networks struct {
	rates   Rates
	limits  Limits
	observe func(what string)
}

// NewNetworks returns limits that are counted in r. observe is told the kind of every request that was refused, and
// "store_failed" when none could be counted.
func NewNetworks(r Rates, l Limits, observe func(what string)) *Networks {
	return &Networks{rates: r, limits: l, observe: observe}
}

// Take counts one request from an address. Errors: ErrCrowded with a time to wait; for SignUpMail also ErrMailBound. When
// the store cannot count, the request passes: what must not be exceeded is counted in SQL.
func (n *Networks) Take(ctx context.Context, k Kind, ip string) error {
	if wait := n.take(ctx, k, string(k)+" "+network(ip), n.limits.of(k)); wait > 0 {
		return ErrCrowded.After(wait)
	}
	if k != SignUpMail {
		return nil
	}
	if wait := n.take(ctx, k, string(k), n.limits.SignUpMails); wait > 0 {
		return ErrMailBound.After(wait)
	}
	return nil
}

// TakeKnown is Take for a request that may come from a browser that somebody signed in from before: with a share of its own
// it gets through although strangers used up its network's. browser names such a browser, or is empty; it is asked only
// then. Errors: ErrCrowded with a time to wait; browser's.
func (n *Networks) TakeKnown(ctx context.Context, k Kind, ip string, browser func(context.Context) (string, error)) error {
	crowded := n.Take(ctx, k, ip)
	if crowded == nil {
		return nil
	}
	name, err := browser(ctx)
	if err != nil {
		return err
	}
	if name == "" {
		return crowded
	}
	if wait := n.take(ctx, k, string(k)+" browser "+name, n.limits.of(k)); wait > 0 {
		return ErrCrowded.After(wait)
	}
	return nil
}

func (n *Networks) take(ctx context.Context, k Kind, key string, l rate.Limit) time.Duration {
	ok, wait, err := n.rates.Allow(ctx, key, l)
	switch {
	case err != nil:
		n.observe("store_failed")
		return 0
	case !ok:
		n.observe(string(k))
		return max(wait, 1)
	}
	return 0
}

func (l Limits) of(k Kind) rate.Limit {
	switch k {
	case Begin:
		return l.Begin
	case Form:
		return l.Form
	case Failure:
		return l.Failure
	case SignUpMail:
		return l.SignUpMail
	}
	return rate.Limit{}
}

// MailQueue is how many mails may wait before sign-up asks for no more; zero: any number.
func (n *Networks) MailQueue() int { return n.limits.MailQueue }
