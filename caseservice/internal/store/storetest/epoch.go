package storetest

import (
	"fmt"
	"testing"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/unit"
)

func reissue(t *testing.T, b Backend) {
	open, owned := seed(t, b, 1), seed(t, b, 2)
	none := sample(3)
	none.CodeMAC = nil
	must(t, b, entry("case.import"), none)
	must(t, b, entry("case.claim"), redeem(owned, "p1"))
	fresh := func(c cases.Create) cases.Reissue {
		return cases.Reissue{CaseID: c.Case.ID, CodeMAC: mac("fresh"), CodeExpires: began.Add(cases.CodeLife)}
	}
	conflict[cases.Reissue](t, b, fresh(owned))
	conflict[cases.Reissue](t, b, fresh(sample(4)))
	for _, c := range []cases.Create{open, none} {
		must(t, b, entry("case.code"), fresh(c))
		conflict[cases.Redeem](t, b, redeem(c, "p2"))
		c.CodeMAC = mac("fresh")
		must(t, b, entry("case.claim"), redeem(c, "p2"))
	}
}

func raiseRace(t *testing.T, b Backend) {
	c := seed(t, b, 1)
	won := race(t, b, func(int) unit.Unit {
		return unit.Unit{Writes: []unit.Write{epoch.Raise{At: began}}, Event: entry(epoch.ActAccept)}
	})
	e, err := b.Epoch(t.Context())
	if won != 1 || err != nil || e.N != 1 || !e.At.Equal(began) {
		t.Errorf("%d winners, %+v, %v", won, e, err)
	}
	if is, err := b.IsCopy(t.Context()); is || err != nil {
		t.Errorf("%v, %v", is, err)
	}
	if ev, err := b.Events(t.Context(), c.Case.ID, 0, 10); err != nil || len(ev) != len(c.Events) || ev[0].Seq != 1 {
		t.Errorf("the history is another: %+v, %v", ev, err)
	}
}

func raiseEnds(t *testing.T, b Backend) {
	c, used := seed(t, b, 1), seed(t, b, 2)
	must(t, b, entry("case.claim"), redeem(used, "p1"))
	until := began.Add(time.Hour)
	must(t, b, entry(epoch.ActAccept), epoch.Raise{At: began, ClaimsFrom: until, EndCodes: true})
	if got, err := b.Ended(t.Context(), began.Add(-time.Second)); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := b.Ended(t.Context(), began); err != nil || fmt.Sprint(got) != fmt.Sprint([]string{c.Case.ID}) {
		t.Errorf("%v, %v", got, err)
	}
	try := cases.CountTry{Sub: "p1", ReceiptMAC: mac("r"), At: until.Add(-time.Second)}
	settle(t, b)
	conflict[cases.CountTry](t, b, try)
	if _, _, err := b.Waits(t.Context(), "p1", mac("r"), try.At); !fault.Is(err, fault.Unavailable) || fault.Of(err).RetryAfter != time.Second {
		t.Errorf("%v", err)
	}
	if _, _, err := b.Waits(t.Context(), "p1", mac("r"), until); err != nil {
		t.Error(err)
	}
	conflict[cases.Redeem](t, b, redeem(c, "p1"))
	try.At = until
	must(t, b, nil, try)
}

// settle waits until every replica has got used to a new epoch.
func settle(t *testing.T, b Backend) {
	t.Helper()
	end := time.Now().Add(3 * epoch.Settle)
	for well := 0; well < 4; well++ {
		err := b.Commit(t.Context(), unit.Unit{Event: entry("x")})
		if err == nil {
			continue
		}
		if fault.Of(err).Code != epoch.ErrRaised.Code || time.Now().After(end) {
			t.Fatal(err)
		}
		well = -1
		time.Sleep(50 * time.Millisecond)
	}
}

func doneAgain(t *testing.T, b Backend) {
	claimed, assigned, owned, ended, other := seed(t, b, 1), seed(t, b, 2), seed(t, b, 3), seed(t, b, 4), seed(t, b, 5)
	must(t, b, entry("case.claim"), redeem(owned, "p3"))
	must(t, b, nil, cases.CountTry{Sub: "p1", ReceiptMAC: mac("r"), At: began})
	own := func(c cases.Create, sub string, code bool) epoch.Own {
		return epoch.Own{CaseID: c.Case.ID, Sub: sub, At: began, Event: "evt_" + c.Case.ID, Code: code}
	}
	writes := []unit.Write{epoch.Raise{At: began, ClaimsFrom: began}, own(claimed, "p1", true), own(claimed, "p1", true), own(assigned, "p2", false), own(owned, "p4", true),
		own(sample(6), "p5", true), epoch.EndCode{CaseID: ended.Case.ID, At: began}, epoch.EndCode{CaseID: "cas_none", At: began}}
	for i := range cases.MaxTries + 1 {
		writes = append(writes, epoch.Tried{Sub: "eve", At: began.Add(time.Duration(i) * time.Second)})
	}
	must(t, b, ledger.Entry{Act: epoch.ActAccept, Outcome: ledger.Allowed}, append(writes, epoch.Tried{Sub: "p1", At: began})...)
	for sub, c := range map[string]cases.Create{"p1": claimed, "p2": assigned, "p3": owned} {
		if f, ok := fileOf(t, b, sub, c.Case.ID); !ok || f.Relationship != cases.Owner {
			t.Errorf("%s: %+v", sub, f)
		}
	}
	if ev, err := b.Events(t.Context(), claimed.Case.ID, int64(len(claimed.Events)), 10); err != nil || len(ev) != 1 || ev[0].Code != cases.NoticeClaimed || ev[0].Seq <= epoch.SeqGap {
		t.Errorf("%+v, %v", ev, err)
	}
	settle(t, b)
	conflict[cases.Redeem](t, b, redeem(ended, "p6"))
	must(t, b, entry("case.claim"), redeem(other, "p6"))
	conflict[cases.CountTry](t, b, cases.CountTry{Sub: "eve", ReceiptMAC: mac("x"), At: began.Add(time.Hour)})
	for range cases.MaxTries - 1 { // a try before the claim that succeeded counts no more, the one after it does
		must(t, b, nil, cases.CountTry{Sub: "p1", ReceiptMAC: mac(ident.New("r")), At: began})
	}
	conflict[cases.CountTry](t, b, cases.CountTry{Sub: "p1", ReceiptMAC: mac("y"), At: began})
}
