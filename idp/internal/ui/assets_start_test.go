package ui

import (
	"runtime"
	"testing"
)

// Compressing takes far more than reading, and a start waits for it. Not parallel: it counts what the process allocates.
func TestReadAssets_CompressesNothing(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	set := readAssets()
	runtime.ReadMemStats(&after)
	size := 0
	for _, f := range set.files {
		size += len(f.plain)
	}
	if n := after.TotalAlloc - before.TotalAlloc; size == 0 || n > uint64(size)+512<<10 {
		t.Errorf("%d bytes for %d", n, size)
	}
}
