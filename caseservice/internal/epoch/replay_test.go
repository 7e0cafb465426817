package epoch_test

import (
	"reflect"
	"testing"
	"time"

	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/witness"
)

// Between writers the clock says who was first; within one its chain does, also when its clock is set back.
func TestLater_WhoWasFirstIsFirst(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	assign := func(writer string, seq int64, at int, sub string) ledger.Stored {
		return ledger.Stored{Writer: writer, Seq: seq, At: begin.Add(time.Duration(at) * time.Second), Entry: ledger.Entry{Act: epoch.ActAssign, Outcome: ledger.Allowed, Case: "cas_1", Sub: sub}}
	}
	got := epoch.Later([]ledger.Stored{assign("a", 1, 20, "ana"), assign("a", 2, 3, "bob"), assign("b", 1, 15, "carl"), assign("b", 2, 25, "dora"), assign("c", 1, 1, "eve")})
	want := []epoch.Owner{{Case: "cas_1", Sub: "eve"}, {Case: "cas_1", Sub: "carl"}, {Case: "cas_1", Sub: "ana"}, {Case: "cas_1", Sub: "bob"}, {Case: "cas_1", Sub: "dora"}}
	if !reflect.DeepEqual(got.Owners, want) {
		t.Errorf("%v, want %v", got.Owners, want)
	}
}

func TestAcceptance_IsReadFromItsEntry(t *testing.T) {
	t.Parallel()
	mark := witness.Mark{Bytes: 3}
	e := ledger.Stored{Writer: "w", Seq: 2, Entry: ledger.Entry{Act: epoch.ActAccept, Outcome: ledger.Allowed, Reason: "epoch=4,since=never,lost_at_least=1,replayed=0,export=" + mark.String() + ",codes=known"}}
	want := witness.Acceptance{Writer: "w", Seq: 2, Epoch: 4, Knew: true, Read: mark}
	if got := epoch.Acceptance(e); got == nil || *got != want {
		t.Errorf("%+v", got)
	}
	for _, codes := range []string{"kept", "ended", "unknown"} {
		e.Reason = "epoch=4,codes=" + codes
		if got := epoch.Acceptance(e); got == nil || got.Knew || got.Read != (witness.Mark{}) {
			t.Errorf("%s: %+v", codes, got)
		}
	}
	if e.Outcome = ledger.Refused; epoch.Acceptance(e) != nil {
		t.Error("one that was refused")
	}
	if e.Outcome, e.Act = ledger.Allowed, epoch.ActImport; epoch.Acceptance(e) != nil {
		t.Error("another entry")
	}
}
