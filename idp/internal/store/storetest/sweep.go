package storetest

import (
	"context"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/unit"
)

// SweepStore is what Sweeps needs.
type SweepStore interface {
	CoreStore
	session.Reader
	// SweepOn is one turn of sweeping.
	SweepOn(ctx context.Context, now time.Time) (int64, error)
}

// Sweeps checks that sweeping trusts no clock.
func Sweeps[S SweepStore](t *testing.T, open func(*testing.T) S) {
	t.Run("a clock that is wrong for a while costs nothing", func(t *testing.T) { t.Parallel(); sweepLeap(t, open(t)) })
	t.Run("what has ended goes in the end", func(t *testing.T) { t.Parallel(); sweepGoesOn(t, open(t)) })
}

var sweepTime = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

func turn(t *testing.T, s SweepStore, now time.Time) (swept time.Time) {
	t.Helper()
	if _, err := s.SweepOn(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	swept, err := s.SweptTo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return swept
}

func isSpent(t *testing.T, s SweepStore, key string) bool {
	t.Helper()
	_, was, err := s.Spent(t.Context(), "k", unit.Key(key))
	if err != nil {
		t.Fatal(err)
	}
	return was
}

func sweepLeap(t *testing.T, s SweepStore) {
	if at, err := s.SweptTo(t.Context()); err != nil || !at.IsZero() {
		t.Fatalf("before the first turn it was swept up to %v, %v", at, err)
	}
	people(t, s, "acc_1")
	turn(t, s, sweepTime)
	one := session.Session{ID: "ses_1", Account: "acc_1", CreatedAt: sweepTime, AuthTime: sweepTime, LastSeen: sweepTime, ACR: session.AAL1}
	guess := throttle.Reservation{Keys: []throttle.Key{{Name: "n", Rule: throttle.Rule{Cap: 2, SoftFrom: 9}}}, At: sweepTime, Refused: new(throttle.Refusal), Counted: new(int64)}
	if err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{
		unit.Spend{Kind: "k", Key: unit.Key("a"), Until: sweepTime.Add(time.Minute)}, session.Start{Session: one, Cookie: [32]byte{1}}, guess,
	}, Event: audit.Event{Type: "x"}}); err != nil {
		t.Fatal(err)
	}
	for range 30 { // half an hour ten years ahead
		turn(t, s, sweepTime.AddDate(10, 0, 0))
	}
	if _, err := s.SessionByCookie(t.Context(), [32]byte{1}); err != nil || !isSpent(t, s, "a") {
		t.Errorf("gone: the session (%v) or the tombstone", err)
	}
	var counted int64
	guess.Counted = &counted
	if err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{guess}}); err != nil || counted != 2 {
		t.Errorf("guess %d is counted as the second: %v", counted, err)
	}
	before := turn(t, s, sweepTime.Add(30*time.Minute))
	if before.After(sweepTime) {
		t.Errorf("swept up to %v", before)
	}
	if again := turn(t, s, sweepTime.AddDate(-10, 0, 0)); !again.Equal(before) {
		t.Errorf("a clock that is behind moved it from %v to %v", before, again)
	}
}

func sweepGoesOn(t *testing.T, s SweepStore) {
	if err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{
		unit.Spend{Kind: "k", Key: unit.Key("old"), Until: sweepTime}, unit.Spend{Kind: "k", Key: unit.Key("new"), Until: sweepTime.Add(24 * time.Hour)},
	}, Event: audit.Event{Type: "x"}}); err != nil {
		t.Fatal(err)
	}
	for now := sweepTime; isSpent(t, s, "old"); now = now.Add(time.Minute) {
		if swept := turn(t, s, now); swept.After(now) {
			t.Fatalf("at %v swept up to %v", now, swept)
		}
		if now.Sub(sweepTime) > 2*time.Hour {
			t.Fatal("two hours after its end it is still there")
		}
	}
	if !isSpent(t, s, "new") {
		t.Error("what has not ended is gone")
	}
	// After a long stop it catches up, faster than time goes by.
	stop := sweepTime.Add(100 * 24 * time.Hour)
	first := turn(t, s, stop)
	if gained := turn(t, s, stop.Add(time.Minute)).Sub(first); gained <= time.Minute || gained > 2*time.Minute {
		t.Errorf("a turn a minute later gained %v", gained)
	}
}
