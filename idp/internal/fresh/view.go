package fresh

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"ellis.example/idp/internal/clock"
)

// Every is how long a view is taken for fresh before its version is looked at again. A change made elsewhere is seen no
// later than this after it was committed.
const Every = 500 * time.Millisecond

// patience bounds a rebuild: it serves every request, so that no single request's context may end it.
const patience = 5 * time.Second

// View is one value. It is safe for concurrent use.
type View[T any] struct {
	clk     clock.Clock
	version func(context.Context) (int64, error)
	build   func(context.Context) (*T, error)

	building sync.Mutex
	current  atomic.Pointer[built[T]]
	checked  atomic.Int64 // when the version was last looked at, in microseconds
	builds   atomic.Int64
}

type built[T any] struct {
	version int64
	value   *T
}

// New returns a view of what build makes. version is one cheap read that changes whenever build would make another value.
func New[T any](clk clock.Clock, version func(context.Context) (int64, error), build func(context.Context) (*T, error)) *View[T] {
	return &View[T]{clk: clk, version: version, build: build}
}

// Get returns the value; callers must not change it. One caller looks at the version while the others go on with what is
// there. Errors: those of version and build, and only while there is no value yet: a store that is down does not take
// away what is known, and nothing can be committed on it meanwhile.
func (v *View[T]) Get(ctx context.Context) (*T, error) {
	now := v.clk.Now().UnixMicro()
	cur := v.current.Load()
	if cur != nil {
		since := now - v.checked.Load()
		if since >= 0 && since < Every.Microseconds() || !v.building.TryLock() {
			return cur.value, nil
		}
	} else {
		v.building.Lock()
	}
	defer v.building.Unlock()
	return v.refresh(ctx, now)
}

// Peek returns the value that is there, nil where there is none yet, and how often one was built.
func (v *View[T]) Peek() (value *T, builds int64) {
	if cur := v.current.Load(); cur != nil {
		value = cur.value
	}
	return value, v.builds.Load()
}

// Refresh looks at the version now.
func (v *View[T]) Refresh(ctx context.Context) (*T, error) {
	v.building.Lock()
	defer v.building.Unlock()
	return v.refresh(ctx, v.clk.Now().UnixMicro())
}

func (v *View[T]) refresh(ctx context.Context, now int64) (*T, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	cur := v.current.Load()
	n, err := v.version(ctx)
	if err == nil && (cur == nil || cur.version != n) {
		var value *T
		if value, err = v.build(ctx); err == nil {
			cur = &built[T]{version: n, value: value}
			v.builds.Add(1)
			v.current.Store(cur)
		}
	}
	if cur == nil {
		return nil, err
	}
	v.checked.Store(now)
	return cur.value, nil
}
