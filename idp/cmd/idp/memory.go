package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"ellis.example/idp/internal/background"
)

const (
	// garbagePercent lets the heap grow to three times what is in use. That is little here, and a collection at twice as much
	// cost a tenth of all processor time.
	garbagePercent = 200
	// plenty is what the process may take before garbage is collected more often than that, beside what hashes take, in bytes.
	// In a flood of connections three times what is in use would be far more.
	plenty     = 96 << 20
	hashMemory = 40 << 20 // of one core: a hash, and the one before it
)

// memoryEvery is how often the limit is looked at.
const memoryEvery = 5 * time.Second

// collectSeldom sets the collector's pace, unless the environment does.
func collectSeldom() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(0))
	}
}

// memoryLimit is the soft limit for so much memory in use: where that is much by nature, there is always half as much for
// garbage, so that the collector never works without end.
func memoryLimit(used uint64) int64 {
	return max(plenty+hashMemory*int64(runtime.GOMAXPROCS(0)), int64(used+used/2))
}

// memoryJobs keep the limit right.
func memoryJobs() []background.Job {
	if os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	return []background.Job{{Name: "memory", Every: memoryEvery, Do: func(context.Context) error {
		metrics.Read(live)
		debug.SetMemoryLimit(memoryLimit(live[0].Value.Uint64()))
		return nil
	}}}
}
