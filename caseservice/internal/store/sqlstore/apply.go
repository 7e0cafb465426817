package sqlstore

import (
	"fmt"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/unit"
)

// applyWrite applies one write by its type. A condition that does not hold is a *unit.Conflict.
func (c *connection) applyWrite(w unit.Write) error {
	switch w := w.(type) {
	case cases.Create:
		return c.create(w)
	case cases.Assign:
		return c.assign(w)
	case cases.CountTry:
		return c.countTry(w)
	case cases.Redeem:
		return c.redeem(w)
	case cases.OpenKey:
		return c.openKey(w)
	case cases.CloseKey:
		return c.closeKey(w)
	case cases.Forget:
		return c.forget(w)
	}
	return fmt.Errorf("no store for writes of type %T", w)
}

// one demands that a statement touched exactly one row.
func (c *connection) one(w unit.Write, why, query string, args ...any) error {
	n, err := c.affected(query, args...)
	switch {
	case isConstraint(err), err == nil && n != 1:
		return &unit.Conflict{Write: w, Why: why}
	}
	return err
}

func (c *connection) create(w cases.Create) error {
	k := w.Case
	if err := c.one(w, "there is a case with this receipt number", insertCase, k.ID, string(k.Receipt), k.Form, k.Status, k.Stage,
		k.StatusSince.UnixMicro(), string(k.SubmittedOn), k.UpdatedAt.UnixMicro(), string(k.Until), string(k.UntilKind), len(w.Events)); err != nil {
		return err
	}
	for _, e := range w.Events {
		if err := c.exec(insertEvent, k.ID, e.Seq, e.ID, e.Code, e.At.UnixMicro()); err != nil {
			return err
		}
	}
	for _, a := range w.Appointments {
		_, offset := a.StartsAt.Zone()
		if err := c.exec(insertAppointment, a.ID, k.ID, a.Kind, string(a.State), a.StartsAt.UnixMicro(), offset, a.Place, a.Address); err != nil {
			return err
		}
	}
	if w.CodeMAC == nil {
		return nil
	}
	return c.exec(insertCode, k.ID, w.CodeMAC, w.CodeExpires.UnixMicro())
}

// bind makes sub the owner and tells the case's history of it.
func (c *connection) bind(w unit.Write, caseID, sub string, at int64, event, notice string) error {
	if err := c.one(w, "the case has an owner", insertOwner, caseID, sub, string(cases.Owner), at); err != nil {
		return err
	}
	if err := c.one(w, "there is no such case", touchCase, at, caseID); err != nil {
		return err
	}
	return c.one(w, "there is no such case", insertNextEvent, event, notice, at, caseID)
}

func (c *connection) assign(w cases.Assign) error {
	return c.bind(w, w.CaseID, w.Sub, w.At.UnixMicro(), w.Event, cases.NoticeAssigned)
}

func (c *connection) redeem(w cases.Redeem) error {
	at := w.At.UnixMicro()
	if err := c.one(w, "no such code, used or expired", spendCode, at, w.Sub, w.CaseID, w.CodeMAC, at); err != nil {
		return err
	}
	if err := c.bind(w, w.CaseID, w.Sub, at, w.Event, cases.NoticeClaimed); err != nil {
		return err
	}
	if err := c.exec("DELETE FROM claim_tries WHERE sub = ?", w.Sub); err != nil {
		return err
	}
	return c.exec("DELETE FROM claim_backoffs WHERE receipt_mac = ?", w.ReceiptMAC)
}

func (c *connection) countTry(w cases.CountTry) error {
	at := w.At.UnixMicro()
	old := w.At.Add(-cases.TryWindow).UnixMicro()
	if err := c.one(w, "no tries left", countTry, w.Sub, at, old, old, old, cases.MaxTries); err != nil {
		return err
	}
	return c.one(w, "too soon for this receipt number", countBackoff, w.ReceiptMAC, at, at, w.At.Add(-cases.BackoffMemory).UnixMicro(),
		cases.FreeTries, cases.MaxBackoff.Microseconds())
}

func (c *connection) openKey(w cases.OpenKey) error {
	return c.one(w, "this key is in use", openKey, w.Sub, w.Hash[:], w.Request, w.At.UnixMicro(),
		w.At.Add(-cases.KeyLife).UnixMicro(), w.At.Add(-cases.KeyPatience).UnixMicro())
}

func (c *connection) closeKey(w cases.CloseKey) error {
	return c.one(w, "this key was taken over", closeKey, w.Outcome.CaseID, w.Outcome.Fault, w.Sub, w.Hash[:], w.At.UnixMicro())
}

func (c *connection) forget(w cases.Forget) error {
	for query, before := range map[string]int64{
		"DELETE FROM idempotency_keys WHERE opened_at <= ?": w.Now.Add(-cases.KeyLife).UnixMicro(),
		"DELETE FROM claim_tries WHERE since <= ?":          w.Now.Add(-cases.TryWindow).UnixMicro(),
		"DELETE FROM claim_backoffs WHERE last_at <= ?":     w.Now.Add(-cases.BackoffMemory).UnixMicro(),
	} {
		if err := c.exec(query, before); err != nil {
			return err
		}
	}
	return nil
}
