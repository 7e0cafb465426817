package throttle

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/peer"
	"ellis.example/idp/internal/unit"
)

// Class is a kind of secret that can be guessed. Classes never share a counter.
type Class string

// The classes.
const (
	Password Class = "password"
	OTP      Class = "otp"      // one-time codes of authenticator apps
	Recovery Class = "recovery" // recovery codes
)

// Limits of consecutive failures. NIST SP 800-63B-4 §3.2.2 allows 100 an account; a share of them is kept for the
// browsers that its owner signed in from before, so that strangers can use up only theirs.
const (
	capStrangers = 90
	capKnown     = 10
	// An address alone, or with an account, is never refused for good: people share addresses, and what an operator
	// unlocks must open where its owner sits. The account's own counter ends guessing.
	capAddress = 10_000
)

// Rule says how one counter slows down.
type Rule struct {
	Cap      int64         // failures after which nothing is verified any more
	SoftFrom int64         // the failure from which on there is a delay
	MaxDelay time.Duration // the delay doubles from one second up to this
	Forget   time.Duration // the counter starts anew after this long without a failure; zero: never
	Firm     int64         // from so many failures on it never does, whatever Forget says; zero: no such number
	Ease     time.Duration // after this long without a failure the delays start anew, and the count goes on; zero: never
}

// A name that nobody has must act like one that somebody has, and yet cannot be kept for ever: anybody can make up names.
// So after a month neither delays, and what an account remembers beyond that shows only to who goes on to its hard stop.
const (
	rest = 30 * 24 * time.Hour
	firm = 50
)

var (
	account = Rule{Cap: capStrangers, SoftFrom: 5, MaxDelay: 15 * time.Minute, Ease: rest}
	nobody  = Rule{Cap: capStrangers, SoftFrom: 5, MaxDelay: 15 * time.Minute, Ease: rest, Forget: rest, Firm: firm}
	known   = Rule{Cap: capKnown, SoftFrom: 5, MaxDelay: time.Minute}
	pair    = Rule{Cap: capAddress, SoftFrom: 5, MaxDelay: 15 * time.Minute, Forget: 24 * time.Hour}
	address = Rule{Cap: capAddress, SoftFrom: 20, MaxDelay: time.Minute, Forget: time.Hour}
)

// Counter is one counter as it stands.
type Counter struct {
	Failures  int64
	Eased     int64     // how many of them delay no more
	Until     time.Time // no guess before then
	UpdatedAt time.Time
}

// Reserve counts one guess. It returns the counter as it is to be stored, or how long to wait; locked says that waiting
// does not help.
func (r Rule) Reserve(c Counter, now time.Time) (next Counter, wait time.Duration, locked bool) {
	if at := r.Expires(c); !at.IsZero() && !now.Before(at) {
		c = Counter{}
	}
	if r.Ease > 0 && now.Sub(c.UpdatedAt) >= r.Ease {
		c.Eased = c.Failures
	}
	switch {
	case c.Failures >= r.Cap:
		return c, 0, true
	case now.Before(c.Until) && c.Until.Sub(now) <= r.MaxDelay: // longer, and a clock was wrong when it was set
		return c, c.Until.Sub(now), false
	}
	c.Failures++
	c.UpdatedAt = now
	if over := c.Failures - c.Eased - r.SoftFrom; over >= 0 {
		delay := r.MaxDelay
		if over < 20 { // beyond, one second shifted is longer than any MaxDelay
			delay = min(delay, time.Second<<over)
		}
		c.Until = now.Add(delay)
	}
	return c, 0, false
}

// Expires is when a counter starts anew, so that nothing needs to be kept of it; zero: never.
func (r Rule) Expires(c Counter) time.Time {
	if r.Forget <= 0 || (r.Firm > 0 && c.Failures >= r.Firm) {
		return time.Time{}
	}
	return c.UpdatedAt.Add(r.Forget)
}

// Key is a counter with its rule.
type Key struct {
	Name string // hashed: no address and no account id can be read from it
	Rule Rule
}

// Guess is one attempt, reserved.
type Guess struct {
	// Failures is how many guesses in a row have failed if this one does.
	Failures int64

	keys  []Key
	frees []string // further counters that a right secret clears
	l     *Limiter
}

// Reservation counts a guess on all of its counters, or on none. It conflicts when one of them says to wait: Refused
// tells which.
type Reservation struct {
	Keys []Key
	At   time.Time
	// Refused is where the store says why it conflicts.
	Refused *Refusal
	// Counted is where the store says how many failures in a row the first counter has now, this guess included.
	Counted *int64
}

// Refusal says why a guess is not looked at.
type Refusal struct {
	Wait   time.Duration
	Locked bool
}

// Settle ends a guess: Clear forgets the counters (the secret was right), Return takes one failure back from them (it
// was right, or nothing was verified). No condition.
type Settle struct {
	Clear  []string
	Return []string
}

// UnitWrite implements unit.Write.
func (Reservation) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Settle) UnitWrite() {}

// Faults of throttling. Both read alike to a stranger; neither says whether the account exists.
var (
	ErrWait   = fault.New(fault.TooMany, "too_many_attempts", "too many attempts; wait a moment and try again")
	ErrLocked = fault.New(fault.TooMany, "attempts_exhausted", "too many failed attempts; use a browser that you signed in from before, or ask for help")
)

// lockedWait is what Retry-After says of a counter that no waiting opens.
const lockedWait = 15 * time.Minute

// Limiter counts guesses.
type Limiter struct {
	commit unit.Committer
	clk    clock.Clock
	key    []byte
}

// New returns a limiter. key (256 bits) keeps names of counters from telling what they count.
func New(c unit.Committer, clk clock.Clock, key []byte) *Limiter {
	return &Limiter{commit: c, clk: clk, key: key}
}

// Subject is whose secret is guessed, from where.
type Subject struct {
	Class   Class
	Account string // account id, or the canonical identifier if there is no such account: it locks in the same way
	Nobody  bool   // there is no such account
	IP      string
	Known   bool // the browser has signed in to this account before
}

// Reserve counts a guess before the secret is looked at. The caller ends it with the writes of Succeeded, or with Undo
// when nothing was verified; a failed guess stays counted. Errors: ErrWait, ErrLocked, both with a time to wait; those of
// the store.
func (l *Limiter) Reserve(ctx context.Context, s Subject) (*Guess, error) {
	g := &Guess{keys: l.keys(s), l: l}
	if s.Known { // the owner, at a browser of theirs, ends what strangers ran up: failures count in a row (NIST SP 800-63B-4 §3.2.2)
		g.frees = []string{l.name(s.Class, "account", s.Account)}
	}
	w := Reservation{Keys: g.keys, At: l.clk.Now(), Refused: new(Refusal), Counted: &g.Failures}
	err := l.commit.Commit(ctx, unit.Unit{Writes: []unit.Write{w}})
	if _, refused := unit.ConflictIn[Reservation](err); refused {
		if w.Refused.Locked {
			return nil, ErrLocked.After(lockedWait)
		}
		return nil, ErrWait.After(w.Refused.Wait)
	}
	if err != nil {
		return nil, err
	}
	return g, nil
}

// keys are the counters of a guess. A known browser has its own share of the one account that it can guess at, and waits
// for nothing that strangers did, on its own address either: people share addresses.
func (l *Limiter) keys(s Subject) []Key {
	if s.Known {
		return []Key{{l.name(s.Class, "known", s.Account), known}}
	}
	net, own := network(s.IP), account
	if s.Nobody {
		own = nobody
	}
	return []Key{
		{l.name(s.Class, "account", s.Account), own},
		{l.name(s.Class, "pair", s.Account, net), pair},
		{l.name(s.Class, "address", net), address},
	}
}

func (l *Limiter) name(c Class, parts ...string) string {
	k := unit.Key(append([]string{string(c)}, parts...)...)
	m := hmac.New(sha256.New, l.key)
	_, _ = m.Write(k[:])
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// network is the part of an address that one subscriber holds; "" of what is no address.
func network(ip string) string {
	a, _ := netip.ParseAddr(ip)
	return peer.Network(a)
}

// Succeeded returns the write that goes with the effect of a right secret: the account's counters start anew, the
// address gets its guess back. Errors of another class stay counted.
func (g *Guess) Succeeded() unit.Write {
	w := Settle{Clear: slices.Clone(g.frees)}
	for _, k := range g.keys {
		if k.Rule == address {
			w.Return = append(w.Return, k.Name)
		} else {
			w.Clear = append(w.Clear, k.Name)
		}
	}
	return w
}

// Undo gives the guess back: nothing was verified.
func (g *Guess) Undo(ctx context.Context) error {
	w := Settle{}
	for _, k := range g.keys {
		w.Return = append(w.Return, k.Name)
	}
	return g.l.commit.Commit(context.WithoutCancel(ctx), unit.Unit{Writes: []unit.Write{w}})
}

// Unlock forgets every counter of an account, for an operator. It returns the write.
func (l *Limiter) Unlock(account string) unit.Write {
	w := Settle{}
	for _, c := range []Class{Password, OTP, Recovery} {
		w.Clear = append(w.Clear, l.name(c, "account", account), l.name(c, "known", account))
	}
	return w
}
