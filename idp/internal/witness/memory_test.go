package witness_test

import (
	"runtime"
	"testing"

	"ellis.example/idp/internal/witness"
)

// keptFor is how many bytes stay in memory for what a function returns.
func keptFor(read func() any) int64 {
	var before, after runtime.MemStats
	heap := func(m *runtime.MemStats) {
		runtime.GC()
		runtime.GC() // what the first one let go of
		runtime.ReadMemStats(m)
	}
	heap(&before)
	got := read()
	heap(&after)
	runtime.KeepAlive(got)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// A file of years is read for what it says: its text does not stay.
//
//nolint:paralleltest // it measures the memory of the process
func TestFiles_KeepNoText(t *testing.T) {
	const statements = 600
	b, c := crowd(t, 100)
	sign(t, b, c, statements) // of more than 1 kB each: they repeat what did not move
	for name, read := range map[string]func() (any, error){
		"all of a file": func() (any, error) { return witness.ReadAll(c.File, c.Key) },
		"all files":     func() (any, error) { return witness.OpenFiles([]string{c.File}, c.Key) },
	} {
		var err error
		n := keptFor(func() (got any) { got, err = read(); return got })
		if err != nil || n > statements*512 {
			t.Errorf("%s: %d bytes stay for each statement, %v", name, n/statements, err)
		}
	}
}
