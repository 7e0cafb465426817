//go:build unix

package witness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const lockAgain = 10 * time.Millisecond

// lock keeps other processes from appending until f is closed. It waits for one that is at it until ctx ends.
func lock(ctx context.Context, f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: another process is at it: %w", f.Name(), ctx.Err())
		case <-time.After(lockAgain):
		}
	}
}
