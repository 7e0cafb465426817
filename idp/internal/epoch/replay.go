package epoch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/unit"
)

// Replay is what the exported audit says of the time that a restored database does not know. What it cannot tell, such as a
// password, locks whom it concerns.
type Replay struct {
	Events   int64       `json:"events"`             // records that were lost
	Locked   []string    `json:"locked,omitempty"`   // accounts whose password or authenticator app changed
	Disabled []string    `json:"disabled,omitempty"` // accounts that an operator disabled
	Recovery []string    `json:"recovery,omitempty"` // accounts whose recovery codes were used or renewed
	Consents []Withdrawn `json:"consents,omitempty"` // that were withdrawn
	Secrets  []string    `json:"secrets,omitempty"`  // clients whose secret was replaced
	Clients  []string    `json:"clients,omitempty"`  // clients that were changed or deleted: disabled until they are registered again
	APIs     []string    `json:"apis,omitempty"`     // APIs that were changed: what they lost since is taken away again
	Gone     []string    `json:"gone,omitempty"`     // accounts, clients and APIs that are not in the database any more

	facts map[string][]map[string]string // of each API that was changed, as often as it was registered
}

// Withdrawn is a consent that was taken back.
type Withdrawn struct {
	Account string `json:"account"`
	Client  string `json:"client_id"`
}

// Later reads a plan out of the events that were lost, in any order: writers have clocks of their own, and a clock may be set
// back, so nothing that one event takes away is given back because another seems to be later.
func Later(events []audit.Stored) Replay {
	r := Replay{Events: int64(len(events))}
	for _, e := range events {
		if e.Outcome == audit.Allowed {
			r.note(e.Event)
		}
	}
	return r
}

// note takes one event into the plan. An account that was enabled again may have been disabled after that.
func (p *Replay) note(e audit.Event) {
	switch e.Type {
	case "password.changed", "factor.enrolled", "factor.removed":
		add(&p.Locked, e.Account)
	case "account.disabled":
		add(&p.Disabled, e.Account)
	case "recovery.used", "recovery.renewed":
		add(&p.Recovery, e.Account)
	case "signin.factor":
		if e.Detail["factor"] == "recovery_code" {
			add(&p.Recovery, e.Account)
		}
	case "consent.withdrawn": // also when one was given again later: it may have allowed less than the one in the copy
		add(&p.Consents, Withdrawn{Account: e.Account, Client: e.Client})
	case "client.secret_rotated":
		add(&p.Secrets, e.Client)
	case "client.updated":
		if e.Detail["secret"] != "" {
			add(&p.Secrets, e.Client)
		}
		if e.Detail["changed"] != "" {
			add(&p.Clients, e.Client)
		}
	case "client.deleted":
		add(&p.Clients, e.Client)
	case "api.updated":
		p.api(e)
	case "api.created":
		add(&p.Gone, e.Detail["api"])
	case "account.created":
		add(&p.Gone, e.Account)
	case "client.created":
		add(&p.Gone, e.Client)
	}
}

func (p *Replay) api(e audit.Event) {
	id := e.Detail["api"]
	add(&p.APIs, id)
	if p.facts == nil {
		p.facts = map[string][]map[string]string{}
	}
	p.facts[id] = append(p.facts[id], e.Detail)
}

func add[T comparable](list *[]T, v T) {
	var none T
	if v != none && !slices.Contains(*list, v) {
		*list = append(*list, v)
	}
}

// ReplayReader is what a plan is carried out against.
type ReplayReader interface {
	// Account returns an account. Errors: account.ErrNotFound.
	Account(ctx context.Context, id string) (account.Account, error)
	// Client returns a client. Errors: client.ErrNotFound.
	Client(ctx context.Context, id string) (client.Client, error)
	// APIs lists all registered APIs.
	APIs(ctx context.Context) ([]api.API, error)
	// Consents lists what an account allowed a client.
	Consents(ctx context.Context, account, client string) ([]grant.Consent, error)
}

// writes are what the plan comes to in the database as it is, and as Raise r leaves it. What is not there any more needs
// nothing.
func (p Replay) writes(ctx context.Context, store ReplayReader, r Raise) ([]unit.Write, error) {
	out, err := p.accountWrites(ctx, store, r)
	if err != nil {
		return nil, err
	}
	apis, err := p.apiWrites(ctx, store)
	if err != nil {
		return nil, err
	}
	out = append(out, apis...)
	for _, c := range p.Consents {
		if list, err := store.Consents(ctx, c.Account, c.Client); err != nil {
			return nil, err
		} else if len(list) > 0 {
			out = append(out, grant.Withdraw{Account: c.Account, Client: c.Client, At: r.At})
		}
	}
	for _, id := range p.Clients {
		c, err := store.Client(ctx, id)
		if errors.Is(err, client.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.Disabled, c.UpdatedAt = true, r.At
		if r.Lock { // which has changed every client
			c.Version++
		}
		out = append(out, client.Update{Client: c})
	}
	for _, id := range p.Secrets {
		out = append(out, VoidSecret{Client: id, At: r.At})
	}
	return out, nil
}

func (p Replay) accountWrites(ctx context.Context, store ReplayReader, r Raise) (out []unit.Write, err error) {
	concerned := append(slices.Clone(p.Locked), p.Disabled...)
	slices.Sort(concerned)
	for _, id := range slices.Compact(concerned) {
		a, err := store.Account(ctx, id)
		if errors.Is(err, account.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		from := a.Status
		if r.Lock { // which has locked every account
			from = from.Lock()
		}
		to := from
		if slices.Contains(p.Locked, id) {
			to = to.Lock()
		}
		if slices.Contains(p.Disabled, id) {
			to = to.Disable()
		}
		if to != from {
			out = append(out, account.SetStatus{Account: id, From: from, Status: to, At: r.At})
		}
	}
	for _, id := range p.Recovery {
		out = append(out, VoidRecoveryCodes{Account: id, At: r.At})
	}
	return out, nil
}

// apiWrites take from APIs what they lost at any time since.
func (p Replay) apiWrites(ctx context.Context, store ReplayReader) (out []unit.Write, err error) {
	if len(p.APIs) == 0 {
		return nil, nil
	}
	list, err := store.APIs(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		left := a
		for _, is := range p.facts[a.ID] {
			left = leftOf(left, a.Facts(), is)
		}
		if !maps.Equal(a.Facts(), left.Facts()) {
			out = append(out, api.Update{API: left})
		}
	}
	return out, nil
}

// leftOf is what an API keeps that was registered as was, and once as is. One of which the audit does not say enough, or that
// was otherwise another, is closed until it is registered again: no scope of it is given, and its server is not believed.
func leftOf(a api.API, was, is map[string]string) api.API {
	kept := strings.Fields(is["scopes"])
	if is["audience"] != was["audience"] || is["signing_alg"] != was["signing_alg"] {
		kept = nil
	}
	if is["server"] != was["server"] {
		a.ClientID = ""
	}
	a.Scopes = slices.DeleteFunc(slices.Clone(a.Scopes), func(s api.Scope) bool { return !slices.Contains(kept, s.Name) })
	return a
}

// detail is the plan as the audit keeps it: how many of each.
func (p Replay) detail() map[string]string {
	return map[string]string{
		"lost": num(p.Events), "locked": num(int64(len(p.Locked))), "disabled": num(int64(len(p.Disabled))), "recovery": num(int64(len(p.Recovery))),
		"consents": num(int64(len(p.Consents))), "secrets": strings.Join(p.Secrets, " "), "clients": strings.Join(p.Clients, " "),
		"apis": strings.Join(p.APIs, " "),
	}
}
