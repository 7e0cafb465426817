package signin

import (
	"context"
	"net/http"

	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/peer"
	"ellis.example/caseservice/internal/rate"
)

// PerSecond is n sign-ins a second of one network, and a minute's worth at once; 0 limits nothing.
func PerSecond(n int) rate.Limit { return rate.PerSecond(n, 60*n) }

// DefaultLimit is how many sign-ins one network may begin and finish: room for a large office behind one address.
func DefaultLimit() rate.Limit { return PerSecond(10) }

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
	k := Key(ident.Hash("portal rate\x00" + kind + "\x00" + peer.Network(peer.Address(r.RemoteAddr, r.Header["X-Forwarded-For"], g.cfg.Proxies))))
	wait, err := g.cfg.Store.Count(ctx, k, g.cfg.Limit)
	if err == nil && wait > 0 {
		err = ErrCrowded.After(wait)
	}
	return err
}
