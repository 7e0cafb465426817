package throttle_test

import (
	"testing"
	"time"

	"ellis.example/idp/internal/throttle"
)

var t0 = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func TestReserve_SlowsDownAndEnds(t *testing.T) {
	t.Parallel()
	r := throttle.Rule{Cap: 12, SoftFrom: 5, MaxDelay: time.Minute}
	var c throttle.Counter
	now := t0
	waits := []int{0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60} // seconds after each failure
	for i, s := range waits {
		next, wait, locked := r.Reserve(c, now)
		if wait != 0 || locked || next.Failures != int64(i+1) || !next.UpdatedAt.Equal(now) {
			t.Fatalf("guess %d: %+v, wait %v, locked %v", i+1, next, wait, locked)
		}
		c = next
		until := time.Duration(0)
		if !c.Until.IsZero() {
			until = c.Until.Sub(now)
		}
		if until != time.Duration(s)*time.Second {
			t.Fatalf("after failure %d: %v, want %d s", i+1, until, s)
		}
		if s > 0 {
			if same, wait, locked := r.Reserve(c, c.Until.Add(-1)); c.Failures < r.Cap && (wait != 1 || locked || same != c) {
				t.Fatalf("an instant too early: %+v, %v, %v", same, wait, locked)
			}
			now = c.Until
		}
	}
	if same, wait, locked := r.Reserve(c, now.Add(1000*time.Hour)); wait != 0 || !locked || same != c {
		t.Fatalf("beyond the cap: %+v, %v, %v", same, wait, locked)
	}
}

func TestReserve_ForgetsOnlyWhereTheRuleSaysSo(t *testing.T) {
	t.Parallel()
	c := throttle.Counter{Failures: 8, Until: t0.Add(time.Minute), UpdatedAt: t0}
	for _, k := range []struct {
		name   string
		forget time.Duration
		after  time.Duration
		want   int64
	}{
		{"just before", time.Hour, time.Hour - 1, 9},
		{"at its time", time.Hour, time.Hour, 1},
		{"never", 0, 1000 * time.Hour, 9},
	} {
		r := throttle.Rule{Cap: 100, SoftFrom: 5, MaxDelay: time.Minute, Forget: k.forget}
		if next, wait, locked := r.Reserve(c, t0.Add(k.after)); next.Failures != k.want || wait != 0 || locked {
			t.Errorf("%s: %+v, %v, %v", k.name, next, wait, locked)
		}
	}
}

// A delay that doubles must not overflow into none.
func TestReserve_DelayNeverOverflows(t *testing.T) {
	t.Parallel()
	r := throttle.Rule{Cap: 1 << 40, SoftFrom: 5, MaxDelay: 15 * time.Minute}
	for _, n := range []int64{14, 15, 24, 25, 36, 68, 69, 70, 100, 1 << 33} {
		next, _, _ := r.Reserve(throttle.Counter{Failures: n}, t0)
		if d := next.Until.Sub(t0); d <= 8*time.Minute || d > r.MaxDelay {
			t.Errorf("after %d failures: %v", n+1, d)
		}
	}
}

func TestReserve_ADelayThatAWrongClockSetHoldsNobodyUpForYears(t *testing.T) {
	t.Parallel()
	r := throttle.Rule{Cap: 12, SoftFrom: 5, MaxDelay: time.Minute}
	c := throttle.Counter{Failures: 10, Until: t0.Add(r.MaxDelay), UpdatedAt: t0}
	if same, wait, locked := r.Reserve(c, t0); wait != r.MaxDelay || locked || same != c {
		t.Fatalf("the longest delay: %+v, %v, %v", same, wait, locked)
	}
	c.Until = t0.AddDate(10, 0, 0)
	next, wait, locked := r.Reserve(c, t0)
	if wait != 0 || locked || next.Failures != 11 || !next.Until.Equal(t0.Add(r.MaxDelay)) {
		t.Fatalf("ten years ahead: %+v, %v, %v", next, wait, locked)
	}
}
