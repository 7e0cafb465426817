package trace_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/audit/trace"
)

// record is an audit record in memory.
type record []audit.Stored

func (r record) EventsBy(_ context.Context, ref string, _ int) (out []audit.Stored, err error) {
	for _, e := range r {
		if slices.Contains(e.Refs(), ref) {
			out = append(out, e)
		}
	}
	return out, nil
}

// life is two sign-ins of one person to one app, each with a refresh, and a stranger.
func life() record {
	at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	var r record
	add := func(e audit.Event) {
		at = at.Add(time.Second)
		r = append(r, audit.Stored{Writer: "1", Seq: int64(len(r) + 1), At: at, Event: e})
	}
	add(audit.Event{Type: "signin.password", Account: "acc_a", Session: "ses_a", Outcome: audit.Allowed})
	for _, n := range []string{"1", "2"} {
		seen := &audit.Seen{Audience: "web", Subject: "their-a", Session: "their-ses", Txn: "their-txn" + n}
		add(audit.Event{Type: "code.issued", Account: "acc_a", Client: "web", Session: "ses_a", Flow: "flw_" + n, Txn: "txn_" + n, Grant: "grt_" + n, Seen: seen})
		add(audit.Event{Type: "token.issued", Account: "acc_a", Client: "web", Grant: "grt_" + n, Family: "fam_" + n, JTI: "jti_" + n + "a", Txn: "txn_" + n})
		add(audit.Event{Type: "token.refreshed", Account: "acc_a", Client: "web", Family: "fam_" + n, JTI: "jti_" + n + "b", Txn: "txn_" + n})
	}
	add(audit.Event{Type: "session.ended", Account: "acc_a", Session: "ses_a", Outcome: audit.Allowed})
	add(audit.Event{Type: "signin.password", Account: "acc_b", Session: "ses_b", Outcome: audit.Allowed})
	return r
}

func traced(t *testing.T, id string) (out []int64) {
	t.Helper()
	tr, err := trace.Of(t.Context(), life(), id)
	if err != nil || tr.ID != id {
		t.Fatal(tr.ID, err)
	}
	for _, e := range tr.Events {
		out = append(out, e.Seq)
	}
	return out
}

func TestOf_LeadsFromAnyPartToTheWholeAuthorization(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"jti_1a", "jti_1b", "fam_1", "grt_1", "txn_1", "flw_1", "their-txn1"} {
		if got := traced(t, id); !slices.Equal(got, []int64{1, 2, 3, 4, 8}) {
			t.Errorf("%s: %v", id, got)
		}
	}
}

func TestOf_ListsWhatCarriesAPersonASessionOrAClient(t *testing.T) {
	t.Parallel()
	for id, want := range map[string][]int64{
		"acc_a": {1, 2, 3, 4, 5, 6, 7, 8}, "their-a": {1, 2, 3, 4, 5, 6, 7, 8}, "ses_a": {1, 2, 5, 8}, "their-ses": {1, 2, 5, 8}, "web": {2, 3, 4, 5, 6, 7}, "acc_b": {9}, "nobody": nil, "": nil,
	} {
		if got := traced(t, id); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
}

type broken struct{ record }

func (b broken) EventsBy(ctx context.Context, ref string, limit int) ([]audit.Stored, error) {
	if ref == "ses_a" || ref == "acc_a" || ref == "fam_1" {
		return nil, errors.New("disk")
	}
	return b.record.EventsBy(ctx, ref, limit)
}

func TestOf_TellsWhenSomethingCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"jti_1a", "their-a", "their-ses", "acc_a"} {
		if _, err := trace.Of(t.Context(), broken{life()}, id); err == nil {
			t.Errorf("%s: half a trace passed for a whole one", id)
		}
	}
}

// An event is one line, whatever stands in it.
func FuzzLine(f *testing.F) {
	f.Add("a b", "e=f\n\"g\"")
	f.Fuzz(func(t *testing.T, reason, value string) {
		text, err := audit.Encode(time.Unix(0, 0), audit.Event{Type: "a.b", Reason: reason, Detail: map[string]string{"app": value}})
		if err != nil {
			return
		}
		e, err := audit.Decode("1", 1, text)
		if err != nil {
			t.Fatal(err)
		}
		if line := trace.Line(e); strings.ContainsAny(line, "\r\n\x1b\x00\u202e\u2028\u0085") {
			t.Fatalf("%q", line)
		}
	})
}
