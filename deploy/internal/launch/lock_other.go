//go:build !unix

package launch

import (
	"context"
	"errors"
)

// ErrLocked is returned when another process holds a lock.
var ErrLocked = errors.New("another process uses it")

// Lock locks nothing on this system.
func Lock(context.Context, string, bool) (unlock func(), err error) { return func() {}, nil }
