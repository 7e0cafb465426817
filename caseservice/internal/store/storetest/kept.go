package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/unit"
)

// hostile are texts that some database reads as something else than text.
var hostile = []string{
	`'; DROP TABLE cases; --`, `" OR ""="`, `\'`, `$1`, `?1`, `:name`, `{fn now()}`, `%_`, "Ñandú 中 \U0001F600", "e\u0301 \u00e9", "line\r\n\tend", "\u202e\ufeff\u2028", " both ", `\x00\u0000`,
	"NULL", "0x1f", strings.Repeat("é", 100),
}

func textKept(t *testing.T, b Backend) {
	for i, text := range hostile {
		c := sample(i)
		c.Appointments[0].Place, c.Appointments[0].Address = text, text
		must(t, b, entry("case.import"), c, cases.Assign{CaseID: c.Case.ID, Sub: text, At: began, Event: ident.New("evt")})
		f, ok := fileOf(t, b, text, c.Case.ID)
		if !ok || f.Relationship != cases.Owner || f.Appointments[0].Place != text || f.Appointments[0].Address != text {
			t.Errorf("%q: %+v", text, f)
		}
		if page, err := b.List(t.Context(), text, cases.Position{}, 10); err != nil || len(page) != 1 || page[0].ID != c.Case.ID {
			t.Errorf("%q: %d cases, %v", text, len(page), err)
		}
		k := cases.Key{Sub: text, Hash: [32]byte{byte(i)}}
		must(t, b, nil, cases.OpenKey{Key: k, Request: mac(text), At: began}, cases.CountTry{Sub: text, ReceiptMAC: mac(text), At: began})
		if _, ok, err := b.Key(t.Context(), k, began); err != nil || !ok {
			t.Errorf("%q: its key: %v, %v", text, ok, err)
		}
	}
}

func timeKept(t *testing.T, b Backend) {
	for n, at := range []time.Time{began.Add(time.Microsecond), began.Add(999_999 * time.Microsecond), time.Date(1969, 7, 20, 20, 17, 40, 123_456_000, time.UTC)} {
		c := sample(n)
		c.Case.UpdatedAt, c.Case.StatusSince, c.Events[1].At = at, at, at
		must(t, b, entry("case.import"), c)
		f, _ := fileOf(t, b, "p", c.Case.ID)
		ev, err := b.Events(t.Context(), c.Case.ID, 0, 10)
		if err != nil || !f.UpdatedAt.Equal(at) || !f.StatusSince.Equal(at) || !ev[1].At.Equal(at) || f.UpdatedAt.Location() != time.UTC {
			t.Errorf("%v: %+v, %+v, %v", at, f.Case, ev, err)
		}
	}
}

func redeemOrAssign(t *testing.T, b Backend) {
	c := seed(t, b, 1)
	won := race(t, b, func(i int) unit.Unit {
		sub := fmt.Sprint("p", i)
		if i%2 == 0 {
			return unit.Unit{Writes: []unit.Write{redeem(c, sub)}, Event: entry("case.claim")}
		}
		return unit.Unit{Writes: []unit.Write{cases.Assign{CaseID: c.Case.ID, Sub: sub, At: began, Event: ident.New("evt")}}, Event: entry("case.assign")}
	})
	ev, err := b.Events(t.Context(), c.Case.ID, 0, 100)
	if owners := ownersOf(t, b, c.Case.ID, Racers); won != 1 || owners != 1 || err != nil || len(ev) != 3 {
		t.Errorf("%d winners, %d owners, %d events, %v", won, owners, len(ev), err)
	}
}

func ledgerTail(t *testing.T, b Backend) {
	act := func(i int) ledger.Entry { return entry(fmt.Sprint("act", i)) }
	for i := range 5 {
		must(t, b, act(i))
	}
	seen := map[string]int64{}
	for _, step := range []struct {
		n    int
		want []int
	}{{0, nil}, {2, []int{3, 4}}, {10, []int{0, 1, 2, 3, 4}}} {
		got, err := b.Tail(t.Context(), map[string]int64{}, step.n)
		if err != nil || len(got) != len(step.want) {
			t.Fatalf("the last %d: %+v, %v", step.n, got, err)
		}
		for i, e := range got {
			if e.Entry != act(step.want[i]) || e.Seq < 1 {
				t.Errorf("the last %d: %+v", step.n, e)
			}
			seen[e.Writer] = e.Seq
		}
	}
	if got, err := b.Tail(t.Context(), seen, 10); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	must(t, b, act(5))
	if got, err := b.Tail(t.Context(), seen, 10); err != nil || len(got) != 1 || got[0].Entry != act(5) {
		t.Errorf("%+v, %v", got, err)
	}
}

func ledgerText(t *testing.T, b Backend) {
	for _, text := range hostile {
		must(t, b, ledger.Entry{Act: "case.read", Outcome: ledger.Refused, Reason: text, Sub: text, Client: text, Txn: text, JTI: "j" + text})
		got, err := b.Trace(t.Context(), text)
		if err != nil || len(got) != 1 || got[0].Sub != text || got[0].JTI != "j"+text {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if r, err := b.Verify(t.Context()); err != nil || r.Broken != nil || r.Records != int64(len(hostile)) {
		t.Errorf("%+v, %v", r, err)
	}
}
