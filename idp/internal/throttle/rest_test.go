package throttle_test

import (
	"errors"
	"testing"
	"time"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/unit"
)

const month = 30 * 24 * time.Hour

// sweep sweeps what may go at the present time, and says how many counters are left.
func (b bench) sweep(t *testing.T) {
	t.Helper()
	if _, err := b.store.Sweep(t.Context(), b.clk.Now()); err != nil {
		t.Fatal(err)
	}
}

// Patience is no way round the hard stop: what an account counts in a row is kept, however long nobody guesses.
func TestAttack_E10_NoPauseResetsTheHardStop(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	s := stranger("acc_1", "192.0.2.1")
	for _, n := range []int{49, 40} {
		if err := b.fail(t, s, n); err != nil {
			t.Fatal(err)
		}
		for range 13 {
			b.clk.Advance(month + time.Hour)
			b.sweep(t)
		}
	}
	if g := b.open(t, s); g.Failures != 90 {
		t.Fatalf("%d failures are counted, want 90", g.Failures)
	}
	b.clk.Advance(400 * 24 * time.Hour)
	b.sweep(t)
	b.refused(t, s, throttle.ErrLocked)
	known := throttle.Subject{Class: throttle.Password, Account: "acc_1", IP: "192.0.2.1", Known: true}
	if err := b.fail(t, known, 10); err != nil {
		t.Fatal(err)
	}
	b.clk.Advance(400 * 24 * time.Hour)
	b.sweep(t)
	b.refused(t, known, throttle.ErrLocked)
}

// Names that nobody has are forgotten, since anybody can make them up; until its hard stop no account acts otherwise.
func TestAttack_F04_APauseTellsNoAccountFromAMadeUpName(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	one, made := stranger("acc_1", "192.0.2.1"), stranger("name nobody@example.org", "198.51.100.1")
	made.Nobody = true
	for _, n := range []int{3, 4, 6, 9, 20} { // 42 in all
		for range n {
			for {
				waits := [2]time.Duration{}
				for i, s := range []throttle.Subject{one, made} {
					if _, err := b.Reserve(t.Context(), s); errors.Is(err, throttle.ErrWait) {
						waits[i] = fault.Of(err).RetryAfter
					} else if err != nil {
						t.Fatal(err)
					}
				}
				if waits[0] != waits[1] {
					t.Fatalf("an account says to wait %v, a made-up name %v", waits[0], waits[1])
				}
				if waits[0] == 0 {
					break
				}
				b.clk.Advance(waits[0])
			}
		}
		b.clk.Advance(month)
		b.sweep(t)
	}
}

func TestSweep_TakesWhatIsForgottenAnyway(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	for _, s := range []throttle.Subject{stranger("acc_1", "192.0.2.1"), {Class: throttle.Password, Account: "name x", IP: "192.0.2.1", Nobody: true}} {
		_ = b.open(t, s)
	}
	for _, c := range []struct {
		after time.Duration
		rows  int64 // that go
	}{{59 * time.Minute, 0}, {2 * time.Minute, 1}, {24 * time.Hour, 2}, {month, 1}, {100 * month, 0}} {
		b.clk.Advance(c.after)
		if n, err := b.store.Sweep(t.Context(), b.clk.Now()); err != nil || n != c.rows {
			t.Errorf("%v later %d counters went, want %d: %v", c.after, n, c.rows, err)
		}
	}
	locked := throttle.Subject{Class: throttle.Password, Account: "name y", IP: "198.51.100.1", Nobody: true}
	if err := b.fail(t, locked, 90); err != nil {
		t.Fatal(err)
	}
	b.clk.Advance(100 * month)
	b.sweep(t)
	b.refused(t, locked, throttle.ErrLocked)
	if err := b.store.Commit(t.Context(), unit.Unit{Writes: []unit.Write{b.Unlock("name y")}}); err != nil {
		t.Fatal(err)
	}
	_ = b.open(t, locked)
}
