package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/paper"
	"ellis.example/caseservice/internal/unit"
)

// Backend is what a store offers.
type Backend interface {
	cases.Reader
	cases.ClaimReader
	ledger.Reader
	epoch.Reader
	unit.Committer
	// Ended returns the cases without an owner whose claim code ended unused.
	Ended(ctx context.Context, now time.Time) ([]string, error)
	// IsCopy reports whether the database is a copy that was not accepted yet.
	IsCopy(ctx context.Context) (bool, error)
}

// Racers is how many try at once where only one may win.
const Racers = 64

var began = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// Run runs the whole contract. open returns a fresh, empty store.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Backend){
		"Create_ReadsBackWhatWasWritten":              createReadsBack,
		"Create_RefusesASecondCaseWithTheReceipt":     createOnce,
		"File_ShowsRelationshipOfTheAskerAlone":       fileRelationship,
		"List_PagesWithoutGapOrRepeat":                listPages,
		"Assign_OneOwnerOf64":                         assignRace,
		"Redeem_OneWinnerOf64WithOneCode":             redeemRace,
		"Redeem_RefusesWrongUsedAndExpiredCodes":      redeemConditions,
		"Redeem_TellsTheHistory":                      redeemHistory,
		"RedeemAndAssign_OneOwnerOf64":                redeemOrAssign,
		"Text_IsKeptByteForByte":                      textKept,
		"Time_IsKeptToTheMicrosecond":                 timeKept,
		"CountTry_FiveOf64":                           tryRace,
		"CountTry_WindowPasses":                       tryWindow,
		"CountTry_BackOffGrowsAndNeverLocks":          backoffGrows,
		"Keys_OneOpensOf64":                           keyRace,
		"Keys_RememberTheOutcomeForADay":              keyOutcome,
		"Keys_TakeOverOfADeadCall":                    keyTakeOver,
		"Unit_ConflictTakesBackTheUnitAndNothingElse": unitAtomic,
		"Unit_LosersNeverTakeWinnersWithThem":         losersAndWinners,
		"Unit_WithdrawnContextWritesNothing":          withdrawn,
		"Ledger_TracesByTxnAndByJTI":                  ledgerTrace,
		"Ledger_VerifiesAfterConcurrentWrites":        ledgerVerifies,
		"Ledger_TailGoesOnWhereItWas":                 ledgerTail,
		"Ledger_TakesWhatACallerMaySend":              ledgerText,
		"Reissue_OnlyTheLastCodeOfACaseWithoutOwner":  reissue,
		"Epoch_OneRaiseOf64":                          raiseRace,
		"Epoch_EndsUnusedCodesAndPausesClaims":        raiseEnds,
		"Epoch_DoesAgainWhatWasLost":                  doneAgain,
		"Counts_ByFormAndStage":                       counts,
		"Forget_RemovesOnlyWhatIsOld":                 forget,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func entry(act string) ledger.Entry { return ledger.Entry{Act: act, Outcome: ledger.Allowed} }

func mac(s string) []byte { h := sha256.Sum256([]byte(s)); return h[:] }

// must commits and fails the test on any error.
func must(t *testing.T, b Backend, e unit.Event, ws ...unit.Write) {
	t.Helper()
	if err := b.Commit(t.Context(), unit.Unit{Writes: ws, Event: e}); err != nil {
		t.Fatal(err)
	}
}

// conflict commits and demands a conflict in a write of type W.
func conflict[W unit.Write](t *testing.T, b Backend, ws ...unit.Write) {
	t.Helper()
	err := b.Commit(t.Context(), unit.Unit{Writes: ws, Event: entry("lost")})
	if _, ok := unit.ConflictIn[W](err); !ok {
		t.Fatalf("got %v, want a conflict in %T", err, *new(W))
	}
}

// race lets Racers commit at once and returns how many succeeded. Everybody else has to meet a conflict.
func race(t *testing.T, b Backend, of func(i int) unit.Unit) int {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, Racers)
	for i := range Racers {
		wg.Go(func() { errs[i] = b.Commit(context.Background(), of(i)) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !unit.IsConflict(err):
			t.Errorf("neither won nor lost: %v", err)
		}
	}
	return won
}

// sample makes a case of its own; its claim code is the receipt number.
func sample(n int) cases.Create {
	f := cases.Workflows().Forms["I-765"]
	at := began.AddDate(0, -1, n)
	c := f.Begin(ident.New("cas"), paper.Receipt(fmt.Sprintf("IOE%010d", n)), cases.DateOf(at), at)
	ev := []cases.Event{{ID: ident.New("evt"), Seq: 1, Code: "submitted", At: at}}
	c, err := f.Step(c, "received", at.Add(time.Hour))
	if err != nil {
		panic(err)
	}
	return cases.Create{
		Case: c, Events: append(ev, cases.Event{ID: ident.New("evt"), Seq: 2, Code: "received", At: at.Add(time.Hour)}),
		Appointments: []cases.Appointment{{ID: ident.New("apt"), Kind: "biometrics", State: cases.Scheduled,
			StartsAt: began.In(time.FixedZone("", -5*3600)), Place: "Support Center", Address: "1 Main St"}},
		CodeMAC: mac(string(c.Receipt)), CodeExpires: began.Add(cases.CodeLife),
	}
}

func seed(t *testing.T, b Backend, n int) cases.Create {
	t.Helper()
	c := sample(n)
	must(t, b, entry("case.import"), c)
	return c
}

func redeem(c cases.Create, sub string) cases.Redeem {
	return cases.Redeem{CaseID: c.Case.ID, CodeMAC: c.CodeMAC, ReceiptMAC: mac("r"), Sub: sub, At: began, Event: ident.New("evt")}
}

func fileOf(t *testing.T, b Backend, sub, id string) (cases.File, bool) {
	t.Helper()
	f, ok, err := b.File(t.Context(), sub, id)
	if err != nil {
		t.Fatal(err)
	}
	return f, ok
}

func createReadsBack(t *testing.T, b Backend) {
	c := seed(t, b, 1)
	must(t, b, entry("case.assign"), cases.Assign{CaseID: c.Case.ID, Sub: "p1", At: began, Event: ident.New("evt")})
	f, ok := fileOf(t, b, "p1", c.Case.ID)
	want := c.Case
	want.UpdatedAt = began // the assignment is an event
	if !ok || f.Case != want || f.Relationship != cases.Owner || len(f.Appointments) != 1 {
		t.Fatalf("got %+v\nwant %+v", f, want)
	}
	a, w := f.Appointments[0], c.Appointments[0]
	if !a.StartsAt.Equal(w.StartsAt) || a.StartsAt.Format(time.RFC3339) != w.StartsAt.Format(time.RFC3339) || a.Place != w.Place || a.ID != w.ID {
		t.Errorf("appointment %+v", a)
	}
	ev, err := b.Events(t.Context(), c.Case.ID, 0, 10)
	if err != nil || len(ev) != 3 || ev[0] != c.Events[0] || ev[1] != c.Events[1] || ev[2].Code != cases.NoticeAssigned || ev[2].Seq != 3 {
		t.Errorf("events %+v, %v", ev, err)
	}
	if ev, err := b.Events(t.Context(), c.Case.ID, 2, 10); err != nil || len(ev) != 1 {
		t.Errorf("events after 2: %+v, %v", ev, err)
	}
	byReceipt, ok, err := b.FileByReceipt(t.Context(), "p1", c.Case.Receipt)
	if err != nil || !ok || byReceipt.ID != c.Case.ID || byReceipt.Relationship != cases.Owner {
		t.Errorf("by receipt: %+v, %v, %v", byReceipt, ok, err)
	}
}

func createOnce(t *testing.T, b Backend) {
	seed(t, b, 1)
	conflict[cases.Create](t, b, sample(1))
	won := race(t, b, func(int) unit.Unit { return unit.Unit{Writes: []unit.Write{sample(2)}, Event: entry("case.import")} })
	if won != 1 {
		t.Errorf("%d cases with one receipt number", won)
	}
}

func fileRelationship(t *testing.T, b Backend) {
	c := seed(t, b, 1)
	must(t, b, entry("a"), cases.Assign{CaseID: c.Case.ID, Sub: "p1", At: began, Event: ident.New("evt")})
	for _, sub := range []string{"p2", "", "P1", "p1 ", "%"} {
		if f, ok := fileOf(t, b, sub, c.Case.ID); !ok || f.Relationship != cases.Stranger || f.Appointments != nil {
			t.Errorf("%q: %+v", sub, f)
		}
	}
	for _, id := range []string{"", "cas_", c.Case.ID[:10], c.Case.ID + " ", "' OR 1=1 --", "%"} {
		if _, ok := fileOf(t, b, "p1", id); ok {
			t.Errorf("found a case by %q", id)
		}
	}
}

func listPages(t *testing.T, b Backend) {
	want := map[string]bool{}
	for n := range 7 {
		c := seed(t, b, n)
		sub := "p1"
		if n == 3 {
			sub = "p2"
		} else {
			want[c.Case.ID] = true
		}
		// Two share a time, so that the identifier has to break the tie.
		must(t, b, entry("a"), cases.Assign{CaseID: c.Case.ID, Sub: sub, At: began.Add(time.Duration(n/2) * time.Hour), Event: ident.New("evt")})
	}
	var at cases.Position
	for {
		page, err := b.List(t.Context(), "p1", at, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page {
			if !want[f.ID] || f.Relationship != cases.Owner || len(f.Appointments) != 1 {
				t.Errorf("repeated or foreign: %+v", f)
			}
			if at.ID != "" && f.UpdatedAt.After(at.UpdatedAt) {
				t.Error("out of order")
			}
			delete(want, f.ID)
			at = cases.Position{UpdatedAt: f.UpdatedAt, ID: f.ID}
		}
		if len(page) < 2 {
			break
		}
	}
	if len(want) != 0 {
		t.Errorf("left out: %v", want)
	}
	if page, err := b.List(t.Context(), "nobody", cases.Position{}, 10); err != nil || len(page) != 0 {
		t.Errorf("%v, %v", page, err)
	}
}

func assignRace(t *testing.T, b Backend) {
	c := seed(t, b, 1)
	won := race(t, b, func(i int) unit.Unit {
		return unit.Unit{Writes: []unit.Write{cases.Assign{CaseID: c.Case.ID, Sub: fmt.Sprint("p", i), At: began, Event: ident.New("evt")}}, Event: entry("a")}
	})
	if won != 1 {
		t.Errorf("%d owners", won)
	}
	conflict[cases.Assign](t, b, cases.Assign{CaseID: "cas_none", Sub: "p", At: began, Event: ident.New("evt")})
}

func ownersOf(t *testing.T, b Backend, id string, subs int) (n int) {
	t.Helper()
	for i := range subs {
		if f, _ := fileOf(t, b, fmt.Sprint("p", i), id); f.Relationship == cases.Owner {
			n++
		}
	}
	return n
}

func redeemRace(t *testing.T, b Backend) {
	c := seed(t, b, 1)
	won := race(t, b, func(i int) unit.Unit {
		return unit.Unit{Writes: []unit.Write{redeem(c, fmt.Sprint("p", i))}, Event: entry("case.claim")}
	})
	if owners := ownersOf(t, b, c.Case.ID, Racers); won != 1 || owners != 1 {
		t.Errorf("%d winners, %d owners", won, owners)
	}
}

func redeemConditions(t *testing.T, b Backend) {
	c, other := seed(t, b, 1), seed(t, b, 2)
	wrong, late, cross := redeem(c, "p1"), redeem(c, "p1"), redeem(c, "p1")
	wrong.CodeMAC, late.At, cross.CodeMAC = mac("guess"), began.Add(cases.CodeLife), other.CodeMAC
	conflict[cases.Redeem](t, b, wrong)
	conflict[cases.Redeem](t, b, late)
	conflict[cases.Redeem](t, b, cross)
	must(t, b, entry("case.claim"), redeem(c, "p1"))
	conflict[cases.Redeem](t, b, redeem(c, "p1"))
	conflict[cases.Redeem](t, b, redeem(c, "p2"))
	must(t, b, entry("a"), cases.Assign{CaseID: other.Case.ID, Sub: "p9", At: began, Event: ident.New("evt")})
	conflict[cases.Redeem](t, b, redeem(other, "p1"))
	if f, _ := fileOf(t, b, "p1", other.Case.ID); f.Relationship != cases.Stranger {
		t.Error("a code opened a case that has an owner")
	}
}

func redeemHistory(t *testing.T, b Backend) {
	c := seed(t, b, 1)
	must(t, b, entry("case.claim"), redeem(c, "p1"))
	f, _ := fileOf(t, b, "p1", c.Case.ID)
	ev, err := b.Events(t.Context(), c.Case.ID, 2, 10)
	if err != nil || len(ev) != 1 || ev[0].Code != cases.NoticeClaimed || ev[0].Seq != 3 || !ev[0].At.Equal(f.UpdatedAt) {
		t.Errorf("%+v, %v", ev, err)
	}
}

func tryRace(t *testing.T, b Backend) {
	won := race(t, b, func(i int) unit.Unit {
		return unit.Unit{Writes: []unit.Write{cases.CountTry{Sub: "p1", ReceiptMAC: mac(fmt.Sprint(i)), At: began}}}
	})
	if won != cases.MaxTries {
		t.Errorf("%d tries passed", won)
	}
	person, receipt, err := b.Waits(t.Context(), "p1", mac("unseen"), began.Add(time.Hour))
	if err != nil || person != cases.TryWindow-time.Hour || receipt != 0 {
		t.Errorf("wait %v, %v, %v", person, receipt, err)
	}
}

func tryWindow(t *testing.T, b Backend) {
	try := func(i int, at time.Time) cases.CountTry {
		return cases.CountTry{Sub: "p1", ReceiptMAC: mac(fmt.Sprint(i)), At: at}
	}
	for i := range cases.MaxTries {
		must(t, b, nil, try(i, began.Add(time.Duration(i)*time.Hour)))
	}
	conflict[cases.CountTry](t, b, try(10, began.Add(cases.TryWindow-time.Second)))
	must(t, b, nil, try(11, began.Add(cases.TryWindow)))
	if person, _, err := b.Waits(t.Context(), "p1", nil, began.Add(cases.TryWindow)); err != nil || person != 0 {
		t.Errorf("still waits %v, %v", person, err)
	}
}

func backoffGrows(t *testing.T, b Backend) {
	r, at := mac("receipt"), began
	var waits []time.Duration
	for i := range 12 {
		must(t, b, nil, cases.CountTry{Sub: fmt.Sprint("p", i), ReceiptMAC: r, At: at})
		_, wait, err := b.Waits(t.Context(), "x", r, at)
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, wait)
		if wait > 0 {
			conflict[cases.CountTry](t, b, cases.CountTry{Sub: "late", ReceiptMAC: r, At: at.Add(wait - time.Microsecond)})
		}
		at = at.Add(wait)
	}
	s := time.Second
	want := []time.Duration{0, 0, s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s, 60 * s, 60 * s}
	if fmt.Sprint(waits) != fmt.Sprint(want) {
		t.Errorf("waits %v", waits)
	}
	must(t, b, nil, cases.CountTry{Sub: "calm", ReceiptMAC: r, At: at.Add(cases.BackoffMemory)})
	if _, wait, _ := b.Waits(t.Context(), "x", r, at.Add(cases.BackoffMemory)); wait != 0 {
		t.Errorf("a pause did not begin anew: %v", wait)
	}
	if p, _, _ := b.Waits(t.Context(), "late", nil, at); p != 0 {
		t.Error("a refused try was counted")
	}
}

func key(sub, value string) cases.Key { return cases.Key{Sub: sub, Hash: sha256.Sum256([]byte(value))} }

func keyRace(t *testing.T, b Backend) {
	won := race(t, b, func(int) unit.Unit {
		return unit.Unit{Writes: []unit.Write{cases.OpenKey{Key: key("p1", "k"), Request: mac("q"), At: began}}}
	})
	if won != 1 {
		t.Errorf("%d calls under one key", won)
	}
	must(t, b, nil, cases.OpenKey{Key: key("p2", "k"), Request: mac("q"), At: began})
}

func keyOutcome(t *testing.T, b Backend) {
	k := key("p1", "k")
	open := cases.OpenKey{Key: k, Request: mac("q"), At: began}
	must(t, b, nil, open)
	if r, ok, err := b.Key(t.Context(), k, began); err != nil || !ok || r.Done || !bytes.Equal(r.Request, mac("q")) {
		t.Errorf("%+v, %v, %v", r, ok, err)
	}
	must(t, b, nil, cases.CloseKey{Key: k, At: began, Outcome: cases.Outcome{CaseID: "c", Fault: "f"}})
	if r, ok, err := b.Key(t.Context(), k, began.Add(cases.KeyLife-time.Second)); err != nil || !ok || !r.Done || r.Outcome != (cases.Outcome{CaseID: "c", Fault: "f"}) {
		t.Errorf("%+v, %v, %v", r, ok, err)
	}
	conflict[cases.CloseKey](t, b, cases.CloseKey{Key: k, At: began})
	open.At = began.Add(time.Hour)
	conflict[cases.OpenKey](t, b, open)
	if _, ok, err := b.Key(t.Context(), k, began.Add(cases.KeyLife)); ok || err != nil {
		t.Errorf("remembered for too long: %v, %v", ok, err)
	}
	open.At = began.Add(cases.KeyLife)
	must(t, b, nil, open)
}

func keyTakeOver(t *testing.T, b Backend) {
	k, late := key("p1", "k"), began.Add(cases.KeyPatience)
	must(t, b, nil, cases.OpenKey{Key: k, Request: mac("q"), At: began})
	conflict[cases.OpenKey](t, b, cases.OpenKey{Key: k, Request: mac("q"), At: late.Add(-time.Second)})
	conflict[cases.OpenKey](t, b, cases.OpenKey{Key: k, Request: mac("other"), At: late})
	must(t, b, nil, cases.OpenKey{Key: k, Request: mac("q"), At: late})
	conflict[cases.CloseKey](t, b, cases.CloseKey{Key: k, At: began})
	must(t, b, nil, cases.CloseKey{Key: k, At: late})
}
