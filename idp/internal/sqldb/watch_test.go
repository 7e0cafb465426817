package sqldb_test

import (
	"errors"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/sqldb"
)

var errBack, errRaised = errors.New("set back"), errors.New("raised")

func newWatch() (*sqldb.Watch, *clock.Fake) {
	clk := clock.NewFake(time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC))
	return &sqldb.Watch{Clock: clk, Settle: time.Minute, SetBack: errBack, Raised: errRaised}, clk
}

func TestWatch_RefusesANewEpochUntilWhatWasReadBeforeIsOver(t *testing.T) {
	t.Parallel()
	w, clk := newWatch()
	for _, step := range []struct {
		by    time.Duration
		began int64
		want  error
	}{{0, 1, nil}, {time.Hour, 1, nil}, {0, 2, errRaised}, {time.Minute - 1, 2, errRaised}, {1, 2, nil}, {0, 1, errRaised}} {
		clk.Advance(step.by)
		if err := w.See(step.began); !errors.Is(err, step.want) {
			t.Errorf("%+v: %v", step, err)
		}
	}
}

// A clock that is set back by a day must not refuse everything for a day.
func TestWatch_AClockThatIsSetBackEndsTheWait(t *testing.T) {
	t.Parallel()
	w, clk := newWatch()
	if err := errors.Join(w.See(1), w.See(2)); !errors.Is(err, errRaised) {
		t.Fatal(err)
	}
	clk.Advance(-24 * time.Hour)
	if err := w.See(2); err != nil {
		t.Errorf("after the clock was set back: %v", err)
	}
}

func TestWatch_HaltsUntilItIsAcceptedOrTheEpochIsAnother(t *testing.T) {
	t.Parallel()
	w, clk := newWatch()
	end := map[string]func() error{
		"accepted": func() error { w.Resume(); return w.See(1) },
		"of its epoch": func() error {
			err := w.See(2)
			clk.Advance(time.Minute)
			return errors.Join(w.See(2), noneBut(err, errRaised))
		},
	}
	for _, how := range []string{"accepted", "of its epoch"} {
		if err := w.See(1); err != nil {
			t.Fatal(err)
		}
		w.Halt()
		if err := w.See(1); !errors.Is(err, errBack) || !w.Halted() {
			t.Errorf("halted: %v", err)
		}
		if err := end[how](); err != nil || w.Halted() {
			t.Errorf("%s: %v", how, err)
		}
	}
}

// noneBut returns what is not the error that is expected.
func noneBut(err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return errors.Join(errors.New("it is not refused"), err)
}

// A database that was set back into an earlier epoch was not accepted by that.
func TestWatch_AnEarlierEpochEndsNoHalt(t *testing.T) {
	t.Parallel()
	w, clk := newWatch()
	if err := w.See(2); err != nil {
		t.Fatal(err)
	}
	w.Halt()
	for range 2 {
		if err := w.See(1); !errors.Is(err, errBack) || !w.Halted() {
			t.Errorf("%v, halted %v", err, w.Halted())
		}
		clk.Advance(time.Minute)
	}
	if err := w.See(3); !errors.Is(err, errRaised) {
		t.Errorf("in an epoch that was begun since: %v", err)
	}
}

func TestWatch_KnowsWhenTheEpochBeganAsLongAsThatIsFresh(t *testing.T) {
	t.Parallel()
	w, clk := newWatch()
	if _, known := w.Began(); known {
		t.Error("known before it was told")
	}
	for _, step := range []struct {
		by    time.Duration
		known bool
	}{{0, true}, {time.Minute - 1, true}, {1, false}, {-2 * time.Minute, false}} {
		clk.Advance(step.by)
		if step.by == 0 {
			if err := w.See(7); err != nil {
				t.Fatal(err)
			}
		}
		if began, known := w.Began(); known != step.known || (known && began != 7) {
			t.Errorf("%v later: %d, %t", step.by, began, known)
		}
	}
}
