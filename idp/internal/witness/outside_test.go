package witness_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/witness"
)

func TestOutside_IsAsOldAsItsLastSuccess(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC))
	var broken error
	o := witness.NewOutside("copy", clk.Now, time.Minute, func(context.Context) error { clk.Advance(time.Second); return broken })
	try := func(by, age time.Duration, behind bool) {
		t.Helper()
		clk.Advance(by)
		if err := o.Once(t.Context()); !errors.Is(err, broken) || o.Age() != age || o.Behind() != behind {
			t.Errorf("%v, %v old, behind: %v", err, o.Age(), o.Behind())
		}
	}
	clk.Advance(time.Minute)
	if o.Behind() || o.Age() != time.Minute {
		t.Error("it is behind too early")
	}
	try(time.Hour, time.Second, false) // what happened while it was at it may be missing
	broken = errors.New("the disk is full")
	try(58*time.Second, time.Minute, false)
	try(0, time.Minute+time.Second, true)
	broken = nil
	try(0, time.Second, false)
	var none *witness.Outside
	if none.Once(t.Context()) != nil || none.Age() != 0 || none.Behind() {
		t.Error("one that is not kept lacks something")
	}
}

func TestOutside_ATryThatHangsHoldsNobodyAndIsNotMadeTwice(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC))
	hang, tries := make(chan struct{}), atomic.Int32{}
	o := witness.NewOutside("copy", clk.Now, 50*time.Millisecond, func(context.Context) error { tries.Add(1); <-hang; return nil })
	for range 3 { // the first begins it, the others wait for their turn
		if err := o.Once(context.WithoutCancel(t.Context())); err == nil || !strings.Contains(err.Error(), "copy: it is not done yet") {
			t.Errorf("got %v", err)
		}
	}
	over, end := context.WithTimeout(t.Context(), time.Millisecond)
	defer end()
	if err := o.Once(over); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	clk.Advance(time.Second)
	if n := tries.Load(); n != 1 || !o.Behind() {
		t.Errorf("%d tries at a time, behind: %v", n, o.Behind())
	}
	close(hang)
	if err := o.Once(t.Context()); err != nil || tries.Load() != 2 || o.Behind() {
		t.Errorf("%d tries, %v", tries.Load(), err)
	}
}
