package freeport

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestFree_LiesBelowWhatGoesOutAndIsGivenOnce listens at each port at once, while the process starts others: between fork and
// exec a child holds every descriptor of its parent, also those that the parent has closed since.
func TestFree_LiesBelowWhatGoesOutAndIsGivenOnce(t *testing.T) {
	t.Parallel()
	for range 4 {
		go func() {
			for t.Context().Err() == nil {
				_ = exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^$").Run()
			}
		}()
	}
	seen := map[int]bool{}
	for range 100 {
		port, err := Free()
		if err != nil {
			t.Fatal(err)
		}
		if port < first || port >= end || seen[port] {
			t.Errorf("%d was given (seen before: %t)", port, seen[port])
		}
		seen[port] = true
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	}
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return // not Linux
	}
	if low, err := strconv.Atoi(strings.Fields(string(text))[0]); err == nil && low < end {
		t.Logf("this system lets connections go out from %d on: ports may still be taken", low)
	}
}

// TestTake_PassesOverWhatIsTaken looks at ports that another process listens at or was given.
func TestTake_PassesOverWhatIsTaken(t *testing.T) {
	if port, err := strconv.Atoi(os.Getenv("FREEPORT_TAKE")); err == nil { // the other process
		if take(port) {
			t.Fatal("taken")
		}
		return
	}
	t.Parallel()
	given, err := Free()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, port := range []int{given, l.Addr().(*net.TCPAddr).Port} {
		other := exec.Command(os.Args[0], "-test.run", "^TestTake_PassesOverWhatIsTaken$")
		other.Env = append(os.Environ(), "FREEPORT_TAKE="+strconv.Itoa(port))
		if out, err := other.CombinedOutput(); err != nil {
			t.Errorf("%d: %v: %s", port, err, out)
		}
	}
}
