package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

const watchParent = 200 * time.Millisecond

// endWithGoRun returns a context that also ends when `go run` does: it hands on no signal, so that whoever ends it would
// leave this process behind. It notices on Linux only.
func endWithGoRun(ctx context.Context) context.Context {
	parent := os.Getppid()
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", parent))
	if err != nil || strings.TrimSpace(string(name)) != "go" {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		for os.Getppid() == parent && ctx.Err() == nil {
			time.Sleep(watchParent)
		}
	}()
	return ctx
}
