package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"ellis.example/idp/internal/background"
)

const (
	// garbagePercent lets the heap grow to three times what is in use. That is little here, and a collection at twice as much
	// cost a tenth of all processor time.
	garbagePercent = 200
	// plenty is what the heap may take before garbage is collected more often than that, in bytes. In a flood of connections three
	// times what is in use would be far more. What hashes of passwords take is not part of the heap.
	plenty = 96 << 20
)

// memoryEvery is how often the limit is looked at, and how long memory of hashes lies unused at least before it goes back.
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
	return max(plenty, int64(used+used/2))
}

// memoryJobs keep the limit right, unless the environment sets one, and give back what hashes left unused, which is what trim
// does.
func memoryJobs(trim func() error) []background.Job {
	jobs := []background.Job{{Name: "hash-memory", Every: memoryEvery, Do: func(context.Context) error { return trim() }}}
	if os.Getenv("GOMEMLIMIT") != "" {
		return jobs
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	return append(jobs, background.Job{Name: "memory", Every: memoryEvery, Do: func(context.Context) error {
		metrics.Read(live)
		debug.SetMemoryLimit(memoryLimit(live[0].Value.Uint64()))
		return nil
	}})
}
