package storetest

import (
	"testing"
	"time"

	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/unit"
)

// Throttles checks the counters of guesses.
func Throttles[S unit.Committer](t *testing.T, open func(*testing.T) S) {
	t.Run("as many guesses as the rule lets through, however many try", func(t *testing.T) { t.Parallel(); exactGuesses(t, open(t)) })
	t.Run("a guess counts on all of its counters or on none", func(t *testing.T) { t.Parallel(); allCounters(t, open(t)) })
	t.Run("settling clears and returns", func(t *testing.T) { t.Parallel(); settles(t, open(t)) })
}

var throttleTime = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

var plain = throttle.Rule{Cap: 5, SoftFrom: 100, MaxDelay: time.Minute}

// guess reserves at a time on counters of one rule and returns how many failures the first has, or why it may not.
func guess(t *testing.T, s unit.Committer, at time.Time, r throttle.Rule, names ...string) (int64, *throttle.Refusal) {
	t.Helper()
	w := throttle.Reservation{At: at, Refused: new(throttle.Refusal), Counted: new(int64)}
	for _, n := range names {
		w.Keys = append(w.Keys, throttle.Key{Name: n, Rule: r})
	}
	err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{w}})
	if _, refused := unit.ConflictIn[throttle.Reservation](err); refused {
		return 0, w.Refused
	}
	if err != nil {
		t.Fatal(err)
	}
	return *w.Counted, nil
}

func exactGuesses(t *testing.T, s unit.Committer) {
	wins := Race(t, func(int) error {
		w := throttle.Reservation{At: throttleTime, Keys: []throttle.Key{{Name: "a", Rule: plain}}, Refused: new(throttle.Refusal)}
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{w}})
	})
	if wins != int(plain.Cap) {
		t.Fatalf("%d guesses, want %d", wins, plain.Cap)
	}
	if _, r := guess(t, s, throttleTime.Add(1000*time.Hour), plain, "a"); r == nil || !r.Locked {
		t.Fatalf("beyond the cap: %+v", r)
	}
	if n, r := guess(t, s, throttleTime, plain, "b"); n != 1 || r != nil {
		t.Fatalf("another counter: %d, %+v", n, r)
	}
}

func allCounters(t *testing.T, s unit.Committer) {
	soft := throttle.Rule{Cap: 100, SoftFrom: 3, MaxDelay: time.Minute}
	for want := range int64(3) {
		if n, r := guess(t, s, throttleTime, soft, "full"); n != want+1 || r != nil {
			t.Fatalf("got %d, %+v", n, r)
		}
	}
	for range 10 {
		if _, r := guess(t, s, throttleTime, soft, "other", "full"); r == nil || r.Wait != time.Second || r.Locked {
			t.Fatalf("got %+v", r)
		}
	}
	if n, r := guess(t, s, throttleTime, soft, "other"); n != 1 || r != nil {
		t.Fatalf("a refused guess counted: %d, %+v", n, r)
	}
	if n, r := guess(t, s, throttleTime.Add(time.Second), soft, "full"); n != 4 || r != nil {
		t.Fatalf("after waiting: %d, %+v", n, r)
	}
}

func settles(t *testing.T, s unit.Committer) {
	for range 3 {
		_, _ = guess(t, s, throttleTime, plain, "a")
		_, _ = guess(t, s, throttleTime, plain, "b")
		_, _ = guess(t, s, throttleTime, plain, "c")
	}
	commit(t, s, throttle.Settle{Clear: []string{"a", "missing"}, Return: []string{"b", "none"}})
	for name, want := range map[string]int64{"a": 1, "b": 3, "c": 4, "none": 1} {
		if n, r := guess(t, s, throttleTime, plain, name); n != want || r != nil {
			t.Errorf("%s: %d, want %d, %+v", name, n, want, r)
		}
	}
	commit(t, s, throttle.Settle{Return: []string{"none"}}, throttle.Settle{Return: []string{"none"}})
	if n, _ := guess(t, s, throttleTime, plain, "none"); n != 1 {
		t.Errorf("a counter went below zero: %d", n)
	}
}
