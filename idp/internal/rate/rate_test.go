package rate

import (
	"testing"
	"time"
)

var rateTime = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestLimit_LetsABurstThroughAndThenItsRate(t *testing.T) {
	t.Parallel()
	l := PerSecond(10, 5)
	var at time.Time
	now := rateTime
	for i := range 5 {
		var wait time.Duration
		if at, wait = l.Take(at, now); wait != 0 {
			t.Fatalf("request %d of a burst waits %v", i, wait)
		}
	}
	kept, wait := l.Take(at, now)
	if wait != 100*time.Millisecond || !kept.Equal(at) {
		t.Fatalf("the sixth waits %v and leaves %v", wait, kept.Sub(at))
	}
	passed := 0
	for range 1000 { // ten seconds at ten times the rate
		now = now.Add(10 * time.Millisecond)
		if at, wait = l.Take(at, now); wait == 0 {
			passed++
		}
	}
	if passed != 100 {
		t.Fatalf("%d requests in ten seconds, want 100", passed)
	}
	if _, wait = l.Take(at, now.Add(time.Hour)); wait != 0 {
		t.Fatal("an hour later it still waits")
	}
}

func TestLimit_ForgetsWhatAWrongClockCounted(t *testing.T) {
	t.Parallel()
	l := PerSecond(1, 3)
	next, wait := l.Take(rateTime.AddDate(10, 0, 0), rateTime)
	if wait != 0 || next.Sub(rateTime) != time.Second {
		t.Fatalf("it waits %v and keeps %v", wait, next)
	}
}

func TestLimit_OfNothingLimitsNothing(t *testing.T) {
	t.Parallel()
	for _, l := range []Limit{{}, PerSecond(0, 9), PerHour(-1)} {
		for range 3 {
			if at, wait := l.Take(time.Time{}, rateTime); wait != 0 || !at.IsZero() {
				t.Fatal(l, wait)
			}
		}
	}
	if l := PerHour(60); l.Every != time.Minute || l.Burst != 60 {
		t.Fatal(l)
	}
}
