package main

import (
	"math"
	"runtime/debug"
	"testing"
)

// Little in use is held to a fixed bound, much by nature is not.
func TestMemoryLimit_LeavesRoomForGarbageWhateverIsInUse(t *testing.T) {
	const least = 96 << 20
	for used, want := range map[uint64]int64{0: least, 20 << 20: least, 4 << 30: 6 << 30} {
		if got := memoryLimit(used); got != want {
			t.Errorf("%d bytes in use: a limit of %d, want %d", used, got, want)
		}
	}
}

func TestMemoryJobs_SetTheLimitUnlessTheEnvironmentDoes(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	trims := 0
	do := func() {
		for _, j := range memoryJobs(func() error { trims++; return nil }) {
			if err := j.Do(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	t.Setenv("GOMEMLIMIT", "1GiB")
	if do(); debug.SetMemoryLimit(-1) != math.MaxInt64 || trims != 1 {
		t.Errorf("the environment is not heard, or memory of hashes is given back %d times", trims)
	}
	t.Setenv("GOMEMLIMIT", "")
	do()
	if got := debug.SetMemoryLimit(-1); got < memoryLimit(0) || got > 1<<40 || trims != 2 {
		t.Errorf("the limit is %d, after %d trims", got, trims)
	}
}
