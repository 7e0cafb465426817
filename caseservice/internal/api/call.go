package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/unit"
	"ellis.example/caseservice/internal/web"
)

// call is one access by a verified caller.
type call struct {
	api    *API
	w      http.ResponseWriter
	r      *http.Request
	now    time.Time
	act    cases.Act
	caller *cases.Caller
	id     string // identifier in the path, as it came

	known    string        // the case that the ledger names: one that exists
	missing  cases.Missing // why the policy said no
	recorded bool          // the entry of this call is durable
}

// reply is an answer that was rendered and has not left yet.
type reply struct {
	status   int
	body     []byte
	etag     string // "" for answers without a validator
	location string
	lent     *[]byte // what body lies in and is given back to rooms; nil: its own
}

// access is the frame of every handler under /v1: who calls, read and decide and render (the handler), ledger, answer.
func (a *API) access(w http.ResponseWriter, r *http.Request, rt *route, id string) {
	token, err := bearer(r)
	if err != nil {
		a.fail(w, r, rt.act, err)
		return
	}
	caller, err := a.tokens.Verify(r.Context(), token)
	if err != nil {
		a.fail(w, r, rt.act, err)
		return
	}
	info := web.InfoOf(r)
	info.Client, info.Txn = caller.ClientID, caller.Txn
	c := &call{api: a, w: w, r: r, now: a.clock.Now(), act: rt.act, caller: caller, id: id}
	rep, err := c.decide(rt.handle)
	if err = c.settle(err); err != nil {
		a.fail(w, r, rt.act, err)
		return
	}
	if rep.write(w, r) && rep.lent != nil { // what was given up may still be read on its way
		rooms.Put(rep.lent)
	}
}

// decide asks first what can be asked without any case.
func (c *call) decide(handle func(*call) (reply, error)) (reply, error) {
	if m := cases.CanAtAll(c.now, c.caller, c.act); m != cases.Nothing {
		return reply{}, c.refuse(m)
	}
	return handle(c)
}

// settle makes the call's entry durable: without it nothing leaves. What failed on our side decided and revealed nothing,
// and has no entry.
func (c *call) settle(err error) error {
	if c.recorded {
		return err
	}
	if err == nil {
		return c.record(ledger.Allowed, "")
	}
	f := fault.Of(err)
	if f.Kind == fault.Internal || f.Kind == fault.Unavailable {
		return err
	}
	reason := string(c.missing)
	if reason == "" {
		reason = f.Code
	}
	if failed := c.record(ledger.Refused, reason); failed != nil {
		return failed
	}
	return err
}

// record commits the call's one entry, with its writes. Errors: *unit.Conflict, a fault of kind Unavailable.
func (c *call) record(outcome ledger.Outcome, reason string, writes ...unit.Write) error {
	purpose := ledger.SelfService
	if c.act == cases.ActStats {
		purpose = ledger.Statistics
	}
	err := c.api.commit.Commit(c.r.Context(), unit.Unit{Writes: writes, Event: ledger.Entry{
		Act: string(c.act), Outcome: outcome, Reason: reason, Case: c.known, Sub: c.caller.Sub, Client: c.caller.ClientID,
		Txn: c.caller.Txn, JTI: c.caller.JTI, Purpose: purpose, Request: web.InfoOf(c.r).ID,
	}})
	c.recorded = err == nil
	return storeFault(err)
}

var errStore = (&fault.Error{Kind: fault.Unavailable, Code: "store_unavailable", Message: "nothing was done: try again shortly"}).After(time.Second)

// storeFault says of whatever a store fails with that the store is not available. Conflicts and faults stay as they are.
func storeFault(err error) error {
	var f *fault.Error
	if err == nil || unit.IsConflict(err) || errors.As(err, &f) {
		return err
	}
	return errStore.Because(err)
}

// file reads the case in the path and asks the policy about it.
func (c *call) file() (cases.File, error) {
	f, ok, err := c.read(c.r.Context(), c.id)
	if err != nil {
		return f, err
	}
	if m := cases.Can(c.now, c.caller, c.act, cases.Target{Exists: ok, Relationship: f.Relationship}); m != cases.Nothing {
		return cases.File{}, c.refuse(m)
	}
	return f, nil
}

// read reads a case and keeps for the ledger that it exists.
func (c *call) read(ctx context.Context, id string) (f cases.File, ok bool, err error) {
	if len(id) > maxID {
		return f, false, nil
	}
	f, ok, err = c.api.cases.File(ctx, c.caller.Sub, id)
	if ok {
		c.known = f.ID
	}
	return f, ok, storeFault(err)
}

const maxID = 64

// write lets the answer go.
func (p reply) write(w http.ResponseWriter, r *http.Request) (whole bool) {
	h := w.Header()
	if p.etag != "" {
		h["Etag"] = []string{p.etag}
		if matches(r.Header["If-None-Match"], p.etag) {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	if p.location != "" {
		h["Location"] = []string{p.location}
	}
	return writeBody(w, p.status, jsonType, p.body)
}
