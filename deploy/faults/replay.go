package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"ellis.example/deploy/internal/seed"
)

// spentCode is a code that was redeemed, with the request that did it.
type spentCode struct {
	who, code string
	access    string // token that came for it
	form      url.Values
	at        time.Time
}

// replayed is how far back codes are shown again: what a failover of Redis can forget is younger.
const replayed = 10 * time.Second

// spend notes a code that was redeemed.
func (d *driver) spend(who, code, access string, form url.Values) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for len(d.spent) > 0 && now.Sub(d.spent[0].at) > replayed {
		d.spent = d.spent[1:]
	}
	d.spent = append(d.spent, spentCode{who, code, access, form, now})
}

// lastSpent are the codes of the last seconds.
func (d *driver) lastSpent() []spentCode {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.spent)
}

// replay shows the last codes again that were redeemed before a time, at a place of the provider. The oracle sees whether one
// of them was good twice.
func (r *run) replay(ctx context.Context, base string, before time.Time) {
	c := newClient()
	for _, s := range r.driver.lastSpent() {
		if s.at.Before(before) && before.Sub(s.at) < replayed {
			r.again(ctx, c, base, record{Op: opRedeem, Who: s.who, Code: s.code}, s.form)
		}
	}
}

// again sends a token request that may not go well.
func (r *run) again(ctx context.Context, c *http.Client, base string, rec record, form url.Values) {
	r.driver.do(ctx, c, rec, http.MethodPost, base+"/token", form, anything, "Authorization", r.sys.clients.Basic(seed.App))
}
