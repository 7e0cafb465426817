//go:build unix

package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrLocked is returned when another process holds a lock.
var ErrLocked = errors.New("another process uses it")

const pollLock = 50 * time.Millisecond

// Lock takes a file as a lock between processes and returns what gives it back. It ends with the process at the latest.
// Unless it waits, a lock that is taken is ErrLocked.
func Lock(ctx context.Context, path string, wait bool) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // a path of ours
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || !wait {
			_ = f.Close()
			return nil, fmt.Errorf("%s: %w", path, lockError(err))
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-time.After(pollLock):
		}
	}
}

func lockError(err error) error {
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}
