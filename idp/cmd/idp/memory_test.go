package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

// Little in use is held to a fixed bound, much by nature is not.
func TestMemoryLimit_LeavesRoomForGarbageWhateverIsInUse(t *testing.T) {
	least := int64(96<<20 + 40<<20*runtime.GOMAXPROCS(0))
	for used, want := range map[uint64]int64{0: least, 20 << 20: least, 4 << 30: 6 << 30} {
		if got := memoryLimit(used); got != want {
			t.Errorf("%d bytes in use: a limit of %d, want %d", used, got, want)
		}
	}
}

func TestMemoryJobs_SetTheLimitUnlessTheEnvironmentDoes(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	t.Setenv("GOMEMLIMIT", "1GiB")
	if len(memoryJobs()) != 0 {
		t.Error("the environment is not heard")
	}
	t.Setenv("GOMEMLIMIT", "")
	for _, j := range memoryJobs() {
		if err := j.Do(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if got := debug.SetMemoryLimit(-1); got < memoryLimit(0) || got > 1<<40 {
		t.Errorf("the limit is %d", got)
	}
}
