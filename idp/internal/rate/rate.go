package rate

import "time"

// Limit is a rate that may be exceeded for a moment: Burst requests at once, and then one more each Every. The zero value
// limits nothing.
type Limit struct {
	Every time.Duration // a request of this limit is worth so much time; positive
	Burst int           // positive
}

// PerSecond is n requests a second, and burst at once. No rate is no limit.
func PerSecond(n, burst int) Limit { return per(time.Second, n, burst) }

// PerHour is n requests an hour, and as many at once.
func PerHour(n int) Limit { return per(time.Hour, n, n) }

func per(d time.Duration, n, burst int) Limit {
	if n <= 0 {
		return Limit{}
	}
	return Limit{Every: max(d/time.Duration(n), 1), Burst: max(burst, 1)}
}

// None reports whether everything is let through.
func (l Limit) None() bool { return l.Every <= 0 || l.Burst <= 0 }

// Take decides one request at now by the generic cell rate algorithm (ITU-T I.371 §A.1): at is when the requests before it
// are worth no time any more, zero when there was none. It returns the time that is to be kept instead, or how long to wait,
// and then nothing is to be kept. What a clock that was wrong left in the far future counts as nothing.
func (l Limit) Take(at, now time.Time) (next time.Time, wait time.Duration) {
	if l.None() {
		return at, 0
	}
	room := l.Every * time.Duration(l.Burst)
	if at.Before(now) || at.Sub(now) > room {
		at = now
	}
	next = at.Add(l.Every)
	if over := next.Sub(now) - room; over > 0 {
		return at, over
	}
	return next, 0
}
