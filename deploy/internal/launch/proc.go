package launch

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc: USER_HZ is 100 on every system that Go runs on.
const tick = 10 * time.Millisecond

// CPU is the processor time of a process and, with children, of those that it started. Unknown is zero.
func CPU(pid int, children bool) (sum time.Duration) {
	_, sum = stat(pid)
	if !children {
		return sum
	}
	paths, _ := filepath.Glob("/proc/[0-9]*") // a good pattern
	for _, p := range paths {
		n, _ := strconv.Atoi(filepath.Base(p)) // digits
		if parent, cpu := stat(n); parent == pid {
			sum += cpu
		}
	}
	return sum
}

// stat reads /proc/PID/stat (proc_pid_stat(5)): the parent, and the processor time of the process and of children that it
// has waited for.
func stat(pid int) (parent int, cpu time.Duration) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // the name before may hold anything
	if len(f) < 15 {
		return 0, 0
	}
	parent, _ = strconv.Atoi(f[1])
	for _, n := range f[11:15] {
		v, _ := strconv.ParseInt(n, 10, 64)
		cpu += time.Duration(v) * tick
	}
	return parent, cpu
}

// Resident is the resident memory of a process in bytes; at its peak, or now. Unknown is zero.
func Resident(pid int, peak bool) int64 {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	name := "VmRSS:"
	if peak {
		name = "VmHWM:"
	}
	_, rest, _ := strings.Cut(string(b), name)
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(f[0], 10, 64)
	return n << 10
}
