//go:build unix

package witness_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ellis.example/idp/internal/witness"
)

// held holds a file as another process that hangs does.
func held(t *testing.T, file string) (release func()) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return func() { _ = f.Close() }
}

func TestLock_IsWaitedForUntilTheContextEnds(t *testing.T) {
	t.Parallel()
	b, _ := written(t)
	dir := t.TempDir()
	export, points := filepath.Join(dir, "export"), filepath.Join(dir, "points")
	x := &witness.Exporter{Log: b, File: export}
	c := &witness.Checkpointer{Log: b, Key: key(t), Origin: "here", File: points, Now: time.Now}
	for file, once := range map[string]func(context.Context) error{
		export: func(ctx context.Context) error { _, err := x.Once(ctx); return err }, points: c.Once,
	} {
		release := held(t, file)
		ctx, end := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if err := once(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), file) {
			t.Errorf("held: %v", err)
		}
		end()
		time.AfterFunc(50*time.Millisecond, release)
		if err := once(t.Context()); err != nil {
			t.Errorf("let go: %v", err)
		}
	}
}

func TestFinish_AnExportThatHangsKeepsNoCheckpointFromBeingSigned(t *testing.T) {
	t.Parallel()
	b, _ := written(t)
	dir := t.TempDir()
	k, export, points := key(t), filepath.Join(dir, "export"), filepath.Join(dir, "points")
	held(t, export)
	x := &witness.Exporter{Log: b, File: export}
	c := &witness.Checkpointer{Log: b, Key: k, Origin: "here", File: points, Now: time.Now}
	over, end := context.WithCancel(t.Context())
	end()
	began := time.Now()
	err := witness.Finish(over,
		witness.NewOutside("export", time.Now, time.Minute, func(ctx context.Context) error { _, err := x.Once(ctx); return err }),
		witness.NewOutside("checkpoints", time.Now, time.Minute, c.Once))
	if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "export: ") || strings.Contains(err.Error(), "checkpoints") || took > witness.LastWords+2*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
	if got := kept(t, points, k); len(got) != 1 {
		t.Errorf("signed: %v", got)
	}
}
