package notify

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wneessen/go-mail"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/unit"
)

const (
	batch      = 32
	claim      = 2 * time.Minute // longer than one attempt can take
	attempt    = 30 * time.Second
	idle       = 500 * time.Millisecond // how soon mail of another process is seen
	firstRetry = 5 * time.Second
	longest    = 15 * time.Minute
)

// Relay is where mail is handed over.
type Relay struct {
	host   string
	opts   []mail.Option
	from   string
	domain string // of the sender
}

// ErrRelay says what an SMTP URL looks like.
var ErrRelay = fault.New(fault.Invalid, "smtp_url", `write the mail relay as smtp://host:port (STARTTLS, except on loopback) or smtps://host:port, with user:password@ before the host if it asks for them, percent-encoded`)

// NewRelay reads an SMTP URL and the address that mail comes from. Without TLS it speaks only to loopback. Errors:
// ErrRelay.
func NewRelay(rawURL, from string) (*Relay, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, ErrRelay // the cause repeats the password; what follows the host may be the rest of one that is not encoded
	}
	r := &Relay{host: u.Hostname(), from: from, opts: []mail.Option{mail.WithTimeout(attempt), mail.WithTLSPolicy(mail.TLSMandatory)}}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "smtp" && (u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())) {
		r.opts = append(r.opts, mail.WithTLSPolicy(mail.NoTLS))
	}
	if u.Scheme == "smtps" {
		r.opts = append(r.opts, mail.WithSSL())
	}
	if p := u.Port(); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil {
			return nil, ErrRelay.Because(err)
		}
		r.opts = append(r.opts, mail.WithPort(n))
	}
	if pw, has := u.User.Password(); has {
		r.opts = append(r.opts, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(u.User.Username()), mail.WithPassword(pw))
	}
	if _, err := mail.NewClient(r.host, r.opts...); err != nil {
		return nil, ErrRelay.Because(err)
	}
	sender := mail.NewMsg()
	if err := sender.From(from); err != nil {
		return nil, fault.New(fault.Invalid, "mail_from", "write the sender as one address, such as Ellis <no-reply@example.org>").Because(err)
	}
	address := sender.GetFrom()[0].Address
	r.domain = address[strings.LastIndexByte(address, '@')+1:]
	return r, nil
}

func (r *Relay) send(ctx context.Context, id string, m Message, now time.Time) error {
	msg := mail.NewMsg()
	if err := msg.From(r.from); err != nil {
		return err
	}
	if err := msg.To(m.To); err != nil {
		return err
	}
	msg.Subject(m.Subject)
	msg.SetDateWithValue(now)
	msg.SetMessageIDWithValue(id + "@" + r.domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5: no out-of-office answers
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	c, err := mail.NewClient(r.host, r.opts...)
	if err != nil {
		return err
	}
	if err = c.DialAndSendWithContext(ctx, msg); msg.IsDelivered() {
		return nil // the relay answers for it (RFC 5321 §6.1); what became of the connection after that is no failure
	}
	return err
}

// Deliverer sends what is in the outbox. Where several processes share one, the same mail may be tried by only one of them
// at a time, whatever their clocks say: by whoever is in his term.
type Deliverer struct {
	Store  Reader
	Commit unit.Committer // refuses what is not of the present term
	Seal   *seal.Sealer
	Relay  *Relay
	Clock  clock.Clock
	Log    *slog.Logger
	// Observe is told the outcome of every attempt: "sent", "deferred", "dropped".
	Observe func(outcome string)
	// Fence is the number of this process's term; terms never share one, and later ones have greater ones.
	Fence func() int64

	wake chan struct{}
	away atomic.Bool
}

// RelayAway reports whether the relay could not be reached when a mail was last tried. One that refuses a mail is there.
func (d *Deliverer) RelayAway() bool { return d.away.Load() }

// Init makes d ready; call it once before Wake or Run.
func (d *Deliverer) Init() *Deliverer {
	d.wake = make(chan struct{}, 1)
	if d.Observe == nil {
		d.Observe = func(string) {}
	}
	if d.Fence == nil {
		d.Fence = func() int64 { return 0 }
	}
	return d
}

// Wake says that a mail was queued. It never waits.
func (d *Deliverer) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends.
func (d *Deliverer) Run(ctx context.Context) {
	defer d.away.Store(false) // whoever sends next finds out for himself
	for ctx.Err() == nil {
		n, err := d.Once(ctx)
		if err != nil && ctx.Err() == nil {
			d.Log.Error("outbox", "cause", err.Error())
		}
		if n == batch {
			continue
		}
		select {
		case <-ctx.Done():
		case <-d.wake:
		case <-time.After(idle):
		}
	}
}

// Once tries what is due now and returns how many it tried.
func (d *Deliverer) Once(ctx context.Context) (int, error) {
	items, err := d.Store.DueMail(ctx, d.Clock.Now(), d.Fence(), batch)
	if err != nil {
		return 0, err
	}
	for i, item := range items {
		if err := d.one(ctx, item); err != nil {
			return i, err
		}
	}
	return len(items), nil
}

// one claims and tries a mail. That another process has it is no error.
func (d *Deliverer) one(ctx context.Context, item Item) error {
	now := d.Clock.Now()
	err := d.Commit.Commit(ctx, unit.Unit{Writes: []unit.Write{Claim{ID: item.ID, At: now, Until: now.Add(claim), Fence: d.Fence()}}})
	if unit.IsConflict(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !now.Before(item.ExpiresAt) {
		return d.drop(ctx, item, "expired")
	}
	m, err := open(d.Seal, item)
	if err != nil {
		return d.drop(ctx, item, "unreadable")
	}
	try, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	err = d.Relay.send(try, item.ID, m, now)
	d.away.Store(unreached(err))
	if err != nil {
		due := now.Add(backoff(item.Attempts))
		d.Observe("deferred")
		d.Log.Warn("mail deferred", "mail", item.ID, "template", item.Template, "account", item.Account, "attempt", item.Attempts+1, "due", due, "why", reason(err))
		return d.Commit.Commit(context.WithoutCancel(ctx), unit.Unit{Writes: []unit.Write{Defer{ID: item.ID, Due: due}}})
	}
	d.Observe("sent")
	return d.Commit.Commit(context.WithoutCancel(ctx), unit.Unit{Writes: []unit.Write{Sent{ID: item.ID, At: d.Clock.Now()}}, Event: d.event(item, "mail.sent", audit.Allowed, "")})
}

func (d *Deliverer) drop(ctx context.Context, item Item, why string) error {
	d.Observe("dropped")
	d.Log.Error("mail dropped", "mail", item.ID, "template", item.Template, "account", item.Account, "why", why)
	return d.Commit.Commit(context.WithoutCancel(ctx), unit.Unit{Writes: []unit.Write{Drop{ID: item.ID}}, Event: d.event(item, "mail.dropped", audit.Failed, why)})
}

func (d *Deliverer) event(item Item, kind string, o audit.Outcome, why string) audit.Event {
	return audit.Event{Type: kind, Outcome: o, Reason: why, Actor: "system", Account: item.Account,
		Detail: map[string]string{"mail": item.ID, "template": item.Template, "attempt": fmt.Sprint(item.Attempts + 1)}}
}

// backoff doubles from five seconds to a quarter of an hour.
func backoff(attempts int) time.Duration {
	if attempts > 10 {
		return longest
	}
	return min(longest, firstRetry<<attempts)
}
