package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"ellis.example/deploy/internal/launch"
)

// cores says who runs where.
type cores struct {
	server  string // core of the server that is measured; "": anywhere
	taskset string
}

// pin takes the first core for servers and leaves the others to this process and what it starts otherwise. With one core, or
// without taskset, everybody shares.
func pin() (cores, error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return cores{}, err
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil || all.Count() < 2 {
		return cores{}, nil
	}
	first := 0
	for !all.IsSet(first) {
		first++
	}
	all.Clear(first)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return cores{}, err
	}
	for _, t := range threads { // threads that come later have the set of the one that makes them
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return cores{}, err
		}
		if err := unix.SchedSetaffinity(id, &all); err != nil {
			return cores{}, fmt.Errorf("thread %d: %w", id, err)
		}
	}
	return cores{server: strconv.Itoa(first), taskset: taskset}, nil
}

// own gives a server its core.
func (c cores) own(s launch.Spec) launch.Spec {
	if c.server != "" {
		s.Args = append([]string{"-c", c.server, s.Path}, s.Args...)
		s.Path = c.taskset
	}
	return s
}

// String tells who runs where.
func (c cores) String() string {
	if c.server == "" {
		return "server and load share all cores"
	}
	return "server on core " + c.server + ", load and databases on the others"
}

// ownTime is the processor time of this process.
func ownTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
