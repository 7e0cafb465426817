package throttle_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/unit"
)

type bench struct {
	*throttle.Limiter
	store *sqlstore.Store
	clk   *clock.Fake
}

func limiter(t *testing.T) bench {
	t.Helper()
	clk := clock.NewFake(t0)
	s := sqltest.Open(t, clk)
	return bench{throttle.New(s, clk, []byte("0123456789abcdef0123456789abcdef")), s, clk}
}

func stranger(account, ip string) throttle.Subject {
	return throttle.Subject{Class: throttle.Password, Account: account, IP: ip}
}

// fail guesses wrong n times, waiting as long as it is told to. It returns the first error that no waiting ends.
func (b bench) fail(t *testing.T, s throttle.Subject, n int) error {
	t.Helper()
	for done := 0; done < n; {
		_, err := b.Reserve(t.Context(), s)
		switch {
		case err == nil:
			done++
		case errors.Is(err, throttle.ErrWait):
			b.clk.Advance(fault.Of(err).RetryAfter)
		default:
			return err
		}
	}
	return nil
}

func (b bench) open(t *testing.T, s throttle.Subject) *throttle.Guess {
	t.Helper()
	g, err := b.Reserve(t.Context(), s)
	if err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	return g
}

func (b bench) refused(t *testing.T, s throttle.Subject, want *fault.Error) {
	t.Helper()
	if _, err := b.Reserve(t.Context(), s); !errors.Is(err, want) || fault.Of(err).RetryAfter <= 0 {
		t.Fatalf("%+v: %v, want %v with a time to wait", s, err, want)
	}
}

func TestLimiter_DelaysFromTheFifthFailure(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	s := stranger("acc_1", "192.0.2.1")
	for range 5 {
		_ = b.open(t, s)
	}
	b.refused(t, s, throttle.ErrWait)
	b.clk.Advance(time.Second)
	_ = b.open(t, s)
	b.refused(t, s, throttle.ErrWait)
}

func TestAttack_F08_ParallelGuessesVerifyNoMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	for _, c := range []struct {
		name string
		of   func(i int) throttle.Subject
		want int64
	}{
		{"one address", func(int) throttle.Subject { return stranger("acc_1", "192.0.2.1") }, 5},
		{"an address each", func(i int) throttle.Subject { return stranger("acc_2", "198.51.100."+string(rune('0'+i%10))) }, 5},
	} {
		var verified atomic.Int64
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				switch _, err := b.Reserve(t.Context(), c.of(i)); {
				case err == nil:
					verified.Add(1)
				case !errors.Is(err, throttle.ErrWait):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if verified.Load() != c.want {
			t.Errorf("%s: %d guesses were let through at one instant, want %d", c.name, verified.Load(), c.want)
		}
	}
}

func TestLimiter_EndsForStrangersAndNotForTheOwnersBrowser(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	if err := b.fail(t, stranger("acc_1", "192.0.2.1"), 90); err != nil {
		t.Fatal(err)
	}
	b.clk.Advance(365 * 24 * time.Hour)
	b.refused(t, stranger("acc_1", "192.0.2.1"), throttle.ErrLocked)
	b.refused(t, stranger("acc_1", "203.0.113.9"), throttle.ErrLocked)
	owner := throttle.Subject{Class: throttle.Password, Account: "acc_1", IP: "203.0.113.9", Known: true}
	if err := b.fail(t, owner, 10); err != nil {
		t.Fatalf("the owner's browser: %v", err)
	}
	b.clk.Advance(time.Hour)
	b.refused(t, owner, throttle.ErrLocked) // NIST SP 800-63B-4 §3.2.2: 100 in all
	_ = b.open(t, stranger("acc_2", "192.0.2.1"))
}

func TestAttack_F04_UnknownNamesLockInTheSameWay(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	for _, who := range []string{"acc_1", "name nobody@example.org"} {
		s := stranger(who, "192.0.2.1")
		for range 5 {
			_ = b.open(t, s)
		}
		b.refused(t, s, throttle.ErrWait)
		b.clk.Advance(48 * time.Hour)
	}
}

func TestAttack_E09_CodesAndPasswordsAreCountedApart(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	otp := throttle.Subject{Class: throttle.OTP, Account: "acc_1", IP: "192.0.2.1"}
	if err := b.fail(t, otp, 90); err != nil {
		t.Fatal(err)
	}
	b.clk.Advance(time.Hour)
	b.refused(t, otp, throttle.ErrLocked)
	_ = b.open(t, stranger("acc_1", "192.0.2.1"))
	otp.Class = throttle.Recovery
	_ = b.open(t, otp)
}

func TestAttack_E10_EveryClassOfSecretIsLimited(t *testing.T) {
	t.Parallel()
	for _, class := range []throttle.Class{throttle.Password, throttle.OTP, throttle.Recovery} {
		b := limiter(t)
		err := b.fail(t, throttle.Subject{Class: class, Account: "acc_1", IP: "192.0.2.1"}, 1000)
		if !errors.Is(err, throttle.ErrLocked) {
			t.Errorf("%s: %v", class, err)
		}
	}
}

func TestSucceeded_ForgetsTheAccountAndNotTheAddress(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	for i := range 19 { // all of one address, each of another account: only the address counts them
		_ = b.open(t, stranger(string(rune('a'+i)), "192.0.2.1"))
	}
	b.succeed(t, stranger("mine", "192.0.2.1"))
	_ = b.open(t, stranger("mine", "192.0.2.1")) // the 20th failure of the address: from here on there is a delay
	b.refused(t, stranger("other", "192.0.2.1"), throttle.ErrWait)
}

func TestSucceeded_BeginsTheCountAnew(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	s := stranger("acc_1", "192.0.2.1")
	for range 4 {
		_ = b.open(t, s)
	}
	b.succeed(t, s)
	if g := b.open(t, s); g.Failures != 1 {
		t.Fatalf("%d failures in a row after a success", g.Failures)
	}
	for range 4 {
		_ = b.open(t, s)
	}
	b.refused(t, s, throttle.ErrWait)
}

// A guess that turns out right takes nothing off the other counters: who knows one secret cannot guess at others freely.
func TestSucceeded_AnotherClassStaysCounted(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	otp := throttle.Subject{Class: throttle.OTP, Account: "acc_1", IP: "192.0.2.1"}
	for range 5 {
		_ = b.open(t, otp)
		b.succeed(t, stranger("acc_1", "192.0.2.1"))
	}
	b.refused(t, otp, throttle.ErrWait)
}

// Strangers can use up only their share, and only until the owner signs in at a browser of theirs.
func TestSucceeded_TheOwnerEndsWhatStrangersRanUp(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	s := stranger("acc_1", "192.0.2.1")
	if err := b.fail(t, s, 90); err != nil {
		t.Fatal(err)
	}
	b.clk.Advance(time.Hour)
	b.refused(t, s, throttle.ErrLocked)
	b.succeed(t, throttle.Subject{Class: throttle.Password, Account: "acc_1", IP: "203.0.113.9", Known: true})
	_ = b.open(t, s)
}

func (b bench) succeed(t *testing.T, s throttle.Subject) {
	t.Helper()
	if err := b.store.Commit(t.Context(), unit.Unit{Writes: []unit.Write{b.open(t, s).Succeeded()}}); err != nil {
		t.Fatal(err)
	}
}

func TestUndo_GivesTheGuessBack(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	s := stranger("acc_1", "192.0.2.1")
	for range 100 {
		if err := b.open(t, s).Undo(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.fail(t, s, 5); err != nil {
		t.Fatal(err)
	}
	b.refused(t, s, throttle.ErrWait)
}

func TestUnlock_OpensEveryClassForOneAccount(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	one, two := stranger("acc_1", "192.0.2.1"), stranger("acc_2", "198.51.100.1")
	for _, s := range []throttle.Subject{one, two} {
		if err := b.fail(t, s, 90); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.store.Commit(t.Context(), unit.Unit{Writes: []unit.Write{b.Unlock("acc_1")}}); err != nil {
		t.Fatal(err)
	}
	b.clk.Advance(15 * time.Minute)
	_ = b.open(t, one)
	b.refused(t, two, throttle.ErrLocked)
}

// One subscriber holds a whole /64 of IPv6; an IPv4 address is one however it is written.
func TestLimiter_AddressesOfOneSubscriberAreOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		ips  []string
		same bool
	}{
		{"one /64", []string{"2001:db8:1:2::1", "2001:db8:1:2:ffff::7"}, true},
		{"two /64", []string{"2001:db8:1:2::1", "2001:db8:1:3::1"}, false},
		{"mapped", []string{"192.0.2.1", "::ffff:192.0.2.1"}, true},
		{"two of IPv4", []string{"192.0.2.1", "192.0.2.2"}, false},
		{"what is no address", []string{"", "unknown"}, true},
	} {
		b := limiter(t)
		for i := range 20 {
			_ = b.open(t, stranger(string(rune('a'+i)), c.ips[0]))
		}
		_, err := b.Reserve(t.Context(), stranger("z", c.ips[1]))
		if errors.Is(err, throttle.ErrWait) != c.same {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
