package signin

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"ellis.example/caseservice/internal/ident"
)

// Limit is a rate that may be exceeded for a moment: Burst requests at once, and then one more each Every. The zero value
// limits nothing.
type Limit struct {
	Every time.Duration
	Burst int
}

// PerSecond is n requests a second and a minute's worth at once; 0 limits nothing.
func PerSecond(n int) Limit {
	if n <= 0 {
		return Limit{}
	}
	return Limit{Every: time.Second / time.Duration(n), Burst: 60 * n}
}

// DefaultLimit is how many sign-ins one network may begin and finish: room for a large office behind one address.
func DefaultLimit() Limit { return PerSecond(10) }

// None reports whether everything is let through.
func (l Limit) None() bool { return l.Every <= 0 || l.Burst <= 0 }

// Take decides one request at now by the generic cell rate algorithm (ITU-T I.371 §A.1): at is when the requests before it
// are worth no time any more, zero when there was none. It returns the time that is to be kept instead, or how long to wait,
// and then nothing is to be kept. What a clock that was wrong left in the far future counts as nothing.
func (l Limit) Take(at, now time.Time) (next time.Time, wait time.Duration) {
	room := l.Every * time.Duration(l.Burst)
	if at.Before(now) || at.Sub(now) > room {
		at = now
	}
	next = at.Add(l.Every)
	if over := next.Sub(now) - room; over > 0 {
		return at, over
	}
	return next, 0
}

// The kinds of request that are counted, each for itself: who begins sign-ins without end still finishes the one that is real.
const (
	countBegin  = "begin"
	countFinish = "finish"
)

// count takes a request from the share of its network. Errors: ErrCrowded with a time to wait; those of the store.
func (g *Gate) count(ctx context.Context, kind string, r *http.Request) error {
	if g.cfg.Limit.None() {
		return nil
	}
	k := Key(ident.Hash("portal rate\x00" + kind + "\x00" + subscriber(g.peer(r))))
	wait, err := g.cfg.Store.Count(ctx, k, g.cfg.Limit)
	if err == nil && wait > 0 {
		err = ErrCrowded.After(wait)
	}
	return err
}

// peer returns the address of the client. A forwarded address counts only as far as trusted proxies vouch for it: from the
// right, the first that is not one of them.
func (g *Gate) peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := ap.Addr().Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && g.trusted(addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
	}
	return addr
}

func (g *Gate) trusted(a netip.Addr) bool {
	for _, p := range g.cfg.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// subscriber is the part of the address space that one subscriber holds: an IPv4 address, or an IPv6 network of 64 bits.
func subscriber(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
