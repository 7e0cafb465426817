package main

import (
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
