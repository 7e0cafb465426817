package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/unit"
)

func unitAtomic(t *testing.T, b Backend) {
	c := seed(t, b, 1)
	bad := redeem(c, "p1")
	bad.CodeMAC = mac("guess")
	fresh := sample(2)
	conflict[cases.Redeem](t, b, fresh, cases.CountTry{Sub: "p1", ReceiptMAC: mac("r"), At: began}, bad)
	if _, ok := fileOf(t, b, "p1", fresh.Case.ID); ok {
		t.Error("an earlier write of the losing unit stayed")
	}
	for range cases.MaxTries - 1 {
		must(t, b, nil, cases.CountTry{Sub: "p1", ReceiptMAC: mac(ident.New("x")), At: began})
	}
	must(t, b, nil, cases.CountTry{Sub: "p1", ReceiptMAC: mac("last"), At: began})
	if r, err := b.Verify(t.Context()); err != nil || r.Broken != nil || r.Records != 1 {
		t.Errorf("the losing unit left an entry: %+v, %v", r, err)
	}
}

func losersAndWinners(t *testing.T, b Backend) {
	seed(t, b, 0)
	won := race(t, b, func(i int) unit.Unit {
		n := 0 // every second one loses
		if i%2 == 1 {
			n = i
		}
		return unit.Unit{Writes: []unit.Write{sample(n)}, Event: entry("case.import")}
	})
	r, err := b.Verify(t.Context())
	if won != Racers/2 || err != nil || r.Broken != nil || r.Records != int64(won)+1 {
		t.Errorf("%d winners, %+v, %v", won, r, err)
	}
}

func withdrawn(t *testing.T, b Backend) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := sample(1)
	if err := b.Commit(ctx, unit.Unit{Writes: []unit.Write{c}, Event: entry("x")}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, ok := fileOf(t, b, "p", c.Case.ID); ok {
		t.Error("written all the same")
	}
}

func ledgerTrace(t *testing.T, b Backend) {
	full := ledger.Entry{Act: "case.read", Outcome: ledger.Refused, Reason: "no_relationship", Case: "cas_1", Sub: "s", Client: "c",
		Txn: "t1", JTI: "j1", Actor: "operator:o", Purpose: ledger.SelfService, Request: "r"}
	must(t, b, full)
	second := full
	second.JTI, second.Act = "j2", "cases.list"
	must(t, b, second)
	must(t, b, ledger.Entry{Act: "cases.count", Outcome: ledger.Allowed, JTI: "j3"})
	for id, want := range map[string]int{"t1": 2, "j1": 1, "j2": 1, "j3": 1, "": 0, "t": 0, "%": 0, "s": 0} {
		got, err := b.Trace(t.Context(), id)
		if err != nil || len(got) != want {
			t.Errorf("%q: %d entries, %v", id, len(got), err)
		}
	}
	got, err := b.Trace(t.Context(), "t1")
	if err != nil || got[0].Entry != full || got[0].Seq != 1 || got[1].Entry != second || got[0].Writer == "" || got[0].At.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}

func ledgerVerifies(t *testing.T, b Backend) {
	var wg sync.WaitGroup
	for range Racers {
		wg.Go(func() {
			for range 10 {
				if err := b.Commit(context.Background(), unit.Unit{Event: entry("case.read")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if r, err := b.Verify(t.Context()); err != nil || r.Broken != nil || r.Records != 10*Racers || r.Writers < 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func counts(t *testing.T, b Backend) {
	for n := range 5 {
		seed(t, b, n)
	}
	f := cases.Workflows().Forms["N-400"]
	must(t, b, entry("x"), cases.Create{Case: f.Begin(ident.New("cas"), "MSC0000000001", "2026-01-01", began)})
	got, err := b.Counts(t.Context())
	want := []cases.Count{{Form: "I-765", Stage: "received", N: 5}, {Form: "N-400", Stage: "submitted", N: 1}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, %v", got, err)
	}
}

func forget(t *testing.T, b Backend) {
	must(t, b, nil, cases.OpenKey{Key: key("p1", "k"), Request: mac("q"), At: began})
	for range cases.MaxTries {
		must(t, b, nil, cases.CountTry{Sub: "p1", ReceiptMAC: mac(ident.New("x")), At: began})
	}
	must(t, b, nil, cases.Forget{Now: began.Add(cases.KeyLife - time.Second)})
	if _, ok, _ := b.Key(t.Context(), key("p1", "k"), began); !ok {
		t.Error("forgot a key too early")
	}
	conflict[cases.CountTry](t, b, cases.CountTry{Sub: "p1", ReceiptMAC: mac("y"), At: began})
	must(t, b, nil, cases.Forget{Now: began.Add(cases.KeyLife)})
	if _, ok, _ := b.Key(t.Context(), key("p1", "k"), began); ok {
		t.Error("kept an old key")
	}
	must(t, b, nil, cases.CountTry{Sub: "p1", ReceiptMAC: mac("z"), At: began})
}
