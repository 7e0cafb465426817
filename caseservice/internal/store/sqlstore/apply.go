package sqlstore

import (
	"fmt"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/sqldb"
	"ellis.example/caseservice/internal/unit"
)

// applyWrite applies one write by its type. A condition that does not hold is a *unit.Conflict.
func applyWrite(t *sqldb.Tx, w unit.Write) error {
	switch w := w.(type) {
	case cases.Create:
		return applyCreate(t, w)
	case cases.Assign:
		return applyAssign(t, w)
	case cases.Reissue:
		return applyReissue(t, w)
	case cases.CountTry:
		return applyCountTry(t, w)
	case cases.Redeem:
		return applyRedeem(t, w)
	case cases.OpenKey:
		return applyOpenKey(t, w)
	case cases.CloseKey:
		return applyCloseKey(t, w)
	case cases.Forget:
		return applyForget(t, w)
	case epoch.Raise:
		return applyRaise(t, w)
	case epoch.Own:
		return applyOwn(t, w)
	case epoch.EndCode:
		return applyEndCode(t, w)
	case epoch.Tried:
		return applyTried(t, w)
	}
	return fmt.Errorf("no store for writes of type %T", w)
}

func applyCreate(t *sqldb.Tx, w cases.Create) error {
	k := w.Case
	if err := t.MustOne(w, "there is a case with this receipt number", insertCase, k.ID, string(k.Receipt), k.Form, k.Status, k.Stage,
		k.StatusSince.UnixMicro(), string(k.SubmittedOn), k.UpdatedAt.UnixMicro(), string(k.Until), string(k.UntilKind), len(w.Events)); err != nil {
		return err
	}
	for _, e := range w.Events {
		if err := t.Run(insertEvent, k.ID, e.Seq, e.ID, e.Code, e.At.UnixMicro()); err != nil {
			return err
		}
	}
	for _, a := range w.Appointments {
		_, offset := a.StartsAt.Zone()
		if err := t.Run(insertAppointment, a.ID, k.ID, a.Kind, string(a.State), a.StartsAt.UnixMicro(), offset, a.Place, a.Address); err != nil {
			return err
		}
	}
	if w.CodeMAC == nil {
		return nil
	}
	return t.Run(insertCode, k.ID, w.CodeMAC, w.CodeExpires.UnixMicro())
}

// bind makes sub the owner and tells the case's history of it.
func bind(t *sqldb.Tx, w unit.Write, caseID, sub string, at int64, event, notice string) error {
	if err := t.MustOne(w, "the case has an owner", insertOwner, sub, string(cases.Owner), at, caseID); err != nil {
		return err
	}
	if err := t.MustOne(w, "there is no such case", touchCase, at, caseID); err != nil {
		return err
	}
	return t.MustOne(w, "there is no such case", insertNextEvent, event, notice, at, caseID)
}

func applyAssign(t *sqldb.Tx, w cases.Assign) error {
	return bind(t, w, w.CaseID, w.Sub, w.At.UnixMicro(), w.Event, cases.NoticeAssigned)
}

func applyRedeem(t *sqldb.Tx, w cases.Redeem) error {
	at := w.At.UnixMicro()
	// The owner first, as an assignment has it: two that took the code and the owner in turns would wait for each other.
	if err := bind(t, w, w.CaseID, w.Sub, at, w.Event, cases.NoticeClaimed); err != nil {
		return err
	}
	if err := t.MustOne(w, "no such code, used or expired", spendCode, at, w.Sub, w.CaseID, w.CodeMAC, at); err != nil {
		return err
	}
	if err := t.Run(forgetTries, w.Sub); err != nil {
		return err
	}
	return t.Run("DELETE FROM claim_backoffs WHERE receipt_mac = ?", w.ReceiptMAC)
}

func applyReissue(t *sqldb.Tx, w cases.Reissue) error {
	// A claim under way is waited for before the next statement looks for an owner: one that waited for the code alone would have
	// looked before, and make a code that is used by now claimable again.
	if err := t.Run(holdCase, w.CaseID); err != nil {
		return err
	}
	return t.MustOne(w, "there is no such case, or it has an owner", reissueCode, w.CodeMAC, w.CodeExpires.UnixMicro(), w.CaseID)
}

func applyCountTry(t *sqldb.Tx, w cases.CountTry) error {
	wait, err := paused(t.Row(claimsFrom).Scan, w.At)
	if err != nil {
		return err
	}
	if wait > 0 {
		return &unit.Conflict{Write: w, Why: "too soon after a restore"}
	}
	at := w.At.UnixMicro()
	old := w.At.Add(-cases.TryWindow).UnixMicro()
	if err := t.MustOne(w, "no tries left", countTry, w.Sub, at, old, old, old, cases.MaxTries); err != nil {
		return err
	}
	return t.MustOne(w, "too soon for this receipt number", countBackoff, w.ReceiptMAC, at, at, w.At.Add(-cases.BackoffMemory).UnixMicro(),
		cases.FreeTries, cases.MaxBackoff.Microseconds())
}

func applyOpenKey(t *sqldb.Tx, w cases.OpenKey) error {
	return t.MustOne(w, "this key is in use", openKey, w.Sub, w.Hash[:], w.Request, w.At.UnixMicro(),
		w.At.Add(-cases.KeyLife).UnixMicro(), w.At.Add(-cases.KeyPatience).UnixMicro())
}

func applyCloseKey(t *sqldb.Tx, w cases.CloseKey) error {
	return t.MustOne(w, "this key was taken over", closeKey, w.Outcome.CaseID, w.Outcome.Fault, w.Sub, w.Hash[:], w.At.UnixMicro())
}

func applyForget(t *sqldb.Tx, w cases.Forget) error {
	for _, old := range []struct { // in one order on every replica, so that none waits for another in a circle
		query string
		age   time.Duration
	}{
		{"DELETE FROM idempotency_keys WHERE opened_at <= ?", cases.KeyLife},
		{"DELETE FROM claim_tries WHERE since <= ?", cases.TryWindow},
		{"DELETE FROM claim_backoffs WHERE last_at <= ?", cases.BackoffMemory},
	} {
		if err := t.Run(old.query, w.Now.Add(-old.age).UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}
