package throttle_test

import (
	"strconv"
	"testing"
	"time"

	"ellis.example/idp/internal/throttle"
)

// Whoever shares an address with people uses up no attempt of a browser that its owner signed in from before.
func TestAttack_F09_StrangersOnTheSameAddressNeverDelayTheOwnersBrowser(t *testing.T) {
	t.Parallel()
	for _, class := range []throttle.Class{throttle.Password, throttle.OTP, throttle.Recovery} {
		b := limiter(t)
		owner := throttle.Subject{Class: class, Account: "acc_1", IP: "192.0.2.1", Known: true}
		for i := range 40 {
			if err := b.fail(t, throttle.Subject{Class: class, Account: "made up " + strconv.Itoa(i), IP: "192.0.2.1"}, 1); err != nil {
				t.Fatal(err)
			}
		}
		b.refused(t, throttle.Subject{Class: class, Account: "acc_2", IP: "192.0.2.1"}, throttle.ErrWait)
		for range 10 { // right after a stranger's guess each time
			b.succeed(t, owner)
			b.clk.Advance(time.Minute)
			_ = b.open(t, throttle.Subject{Class: class, Account: "made up", IP: "192.0.2.1"})
			b.clk.Advance(15 * time.Minute)
		}
	}
}

// What the owner's browser may guess is bounded, and costs the neighbours nothing.
func TestLimiter_AKnownBrowserHasItsOwnBound(t *testing.T) {
	t.Parallel()
	b := limiter(t)
	owner := throttle.Subject{Class: throttle.Password, Account: "acc_1", IP: "192.0.2.1", Known: true}
	if err := b.fail(t, owner, 10); err != nil {
		t.Fatal(err)
	}
	b.clk.Advance(time.Hour)
	b.refused(t, owner, throttle.ErrLocked)
	for i := range 19 {
		_ = b.open(t, stranger("neighbour "+strconv.Itoa(i), "192.0.2.1"))
	}
	_ = b.open(t, stranger("the twentieth", "192.0.2.1"))
	b.refused(t, stranger("the next", "192.0.2.1"), throttle.ErrWait)
}
