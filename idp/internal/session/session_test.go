package session_test

import (
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/session"
)

func TestAlive_EndsIdleAbsoluteOrEnded(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		what     string
		seen     time.Duration // after the beginning
		now      time.Duration
		ended    bool
		lives    bool
		needsUse bool
	}{
		{"at once", 0, 0, false, true, false},
		{"a minute later", 0, time.Minute, false, true, true},
		{"a second before it is idle", 0, session.IdleTimeout - time.Second, false, true, true},
		{"idle", 0, session.IdleTimeout, false, false, true},
		{"used and used", session.AbsoluteTimeout - time.Minute, session.AbsoluteTimeout - time.Nanosecond, false, true, false},
		{"too old", session.AbsoluteTimeout - time.Minute, session.AbsoluteTimeout, false, false, true},
		{"far too old, seen just now", 48 * time.Hour, 48 * time.Hour, false, false, false},
		{"ended", 0, 0, true, false, false},
		{"its clock a little ahead", 0, -clock.Skew, false, true, false},
		{"begun in the future", 0, -clock.Skew - time.Nanosecond, false, false, false},
	} {
		s := session.Session{CreatedAt: began, LastSeen: began.Add(c.seen)}
		if c.ended {
			s.EndedAt = began
		}
		now := began.Add(c.now)
		if s.Alive(now) != c.lives || s.NeedsTouch(now) != c.needsUse {
			t.Errorf("%s: lives %v, needs a touch %v", c.what, s.Alive(now), s.NeedsTouch(now))
		}
	}
	if (session.Session{}).Alive(began) {
		t.Error("no session lives")
	}
}

func TestSatisfies_AHigherClassCountsForALowerOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		has, asks string
		want      bool
	}{
		{session.AAL1, session.AAL1, true}, {session.AAL2, session.AAL1, true}, {session.AAL2, session.AAL2, true}, {session.AAL1, session.AAL2, false}, {"", session.AAL2, false},
		{session.AAL2, "urn:ellis:aal3", false}, {session.AAL2, "", false}, {"urn:ellis:aal3", session.AAL2, false}, {"URN:ELLIS:AAL2", session.AAL2, false}, {"0", "0", false},
	} {
		if got := (session.Session{ACR: c.has}).Satisfies(c.asks); got != c.want {
			t.Errorf("%q for %q: %v", c.has, c.asks, got)
		}
	}
}
