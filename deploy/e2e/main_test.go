package e2e

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// The world that all tests share. It is written before the first test and read by all of them.
var (
	demo   *system
	chrome *chromium
	rp     *app
)

// TestMain starts the demo and Chromium once for all tests, and looks for secrets in the logs when all are done.
func TestMain(m *testing.M) {
	runtime.LockOSThread() // Linux ends a child with the thread that started it
	os.Exit(runAll(m))
}

// all reports whether every test runs.
func all() bool {
	f := flag.Lookup("test.run")
	return f == nil || f.Value.String() == ""
}

func runAll(m *testing.M) int {
	began := time.Now()
	var err error
	if demo, err = startDemo(); err != nil {
		fmt.Fprintln(os.Stderr, "the demo does not start:", err)
		return 1
	}
	defer demo.stop()
	ready := time.Since(began)
	if rp, err = startApp(); err != nil {
		fmt.Fprintln(os.Stderr, "no app can be registered:", err)
		return 1
	}
	defer rp.server.Close()
	if chrome, err = startChromium(); err != nil {
		fmt.Fprintln(os.Stderr, "Chromium does not start:", err)
		return 1
	}
	defer chrome.stop()
	fmt.Printf("demo ready after %s, Chromium after %s more\n", ready.Round(time.Millisecond), (time.Since(began) - ready).Round(time.Millisecond))
	status := m.Run()
	if all() { // else there is too little to look at
		found := secrets.onTheWire(&chrome.wire) // first: the logs are searched for the cookies that it learns
		for _, f := range append(found, secrets.inLogs(demo)...) {
			fmt.Fprintln(os.Stderr, "FAIL:", f)
			status = 1
		}
	}
	fmt.Printf("all of it: %s\n", time.Since(began).Round(time.Millisecond))
	return status
}
