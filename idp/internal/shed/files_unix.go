//go:build unix

package shed

import (
	"math"
	"syscall"
)

// openFiles is how many files the process may open; 0: that is not known.
func openFiles() int {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return 0
	}
	return int(min(uint64(r.Cur), math.MaxInt32)) //nolint:unconvert // some systems have it signed
}
