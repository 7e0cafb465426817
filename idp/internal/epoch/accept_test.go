package epoch_test

import (
	"context"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/feed"
	"ellis.example/idp/internal/unit"
)

// restored is a database that was set back to its first epoch, with no keys and nobody in it.
type restored struct {
	epoch.Store
	lines []string
}

func (*restored) Epoch(context.Context) (epoch.Epoch, error)              { return epoch.Epoch{N: 1}, nil }
func (*restored) Replacement(context.Context) (w []unit.Write, err error) { return w, nil }

func (r *restored) Commit(_ context.Context, u unit.Unit) error {
	for _, w := range u.Writes {
		if e, is := w.(feed.RaiseEpoch); is {
			r.lines = append(r.lines, e.Line)
		}
	}
	return nil
}

func TestAccept_NeverGivesTheNumbersALifeThatFollowersKnow(t *testing.T) {
	t.Parallel()
	r := &restored{}
	for range 2 { // the same copy, restored twice
		if _, err := epoch.Accept(t.Context(), epoch.Deps{Store: r, Commit: r, Keys: r, Clock: clock.NewFake(time.Now())}, epoch.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.lines) != 2 || r.lines[0] == "" || r.lines[0] == r.lines[1] {
		t.Errorf("lines %q: who goes on from a place before the restore misses what came since", r.lines)
	}
}
