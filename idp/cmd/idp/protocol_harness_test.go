package main

import (
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/client"
)

// disable changes whether a client may do anything, and lets the process see it.
func (w *world) disable(id string, off bool) {
	w.Helper()
	w.change(id, func(c *client.Client) { c.Disabled = off })
}

// change updates a client's registration as an operator does.
func (w *world) change(id string, f func(*client.Client)) {
	w.Helper()
	_, err := w.admin().UpdateClient(w.Context(), id, func(c *client.Client) error { f(c); return nil }, "operator:test")
	w.must(err)
	w.later()
}

// withdraw takes back everything that the person at a browser allowed a client.
func (b *browser) withdraw(id string) {
	b.w.Helper()
	p := b.get("/account/apps")
	f := p.form("client_id", id)
	if f == nil {
		b.w.Fatalf("nothing to withdraw from %s (%d): %s", id, p.status, p.text())
	}
	if p = f.send(p); p.url.Query().Get("withdrawn") != id {
		b.w.Fatalf("not withdrawn: %d at %s", p.status, p.url)
	}
}

// during returns the audit events that something left, oldest first.
func (w *world) during(f func()) []audit.Stored {
	w.Helper()
	const all = 1 << 20
	before, err := w.p.store.LatestEvents(w.Context(), all)
	w.must(err)
	w.clock.Advance(time.Millisecond) // the log is in the order of time
	f()
	after, err := w.p.store.LatestEvents(w.Context(), all)
	w.must(err)
	return after[len(before):]
}
