package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ellis.example/idp/internal/witness"
)

// Another process hangs with the export in its hands: that holds neither the end of this one nor its last checkpoint.
func TestServe_AnExportThatHangsHoldsNeitherTheEndNorTheLastCheckpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.p.close())
	s, err := testSettings(w.issuer, w.file, w.clock, slog.New(slog.DiscardHandler))
	w.must(err)
	dir := t.TempDir()
	s.listen, s.private, s.export, s.checkpoint = "127.0.0.1:0", "127.0.0.1:0", filepath.Join(dir, "export"), filepath.Join(dir, "points")
	f, err := os.OpenFile(s.export, os.O_CREATE|os.O_RDWR, 0o600)
	w.must(err)
	t.Cleanup(func() { _ = f.Close() })
	w.must(syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, s) }()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) { // it is at work
		if text, err := os.ReadFile(s.checkpoint); err == nil && len(text) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nothing is signed")
		}
	}
	before, err := os.Stat(s.checkpoint)
	w.must(err)
	other, err := testSettings(w.issuer, w.file, w.clock, slog.New(slog.DiscardHandler))
	w.must(err)
	p, err := assemble(t.Context(), other)
	w.must(err)
	w.must(errors.Join(p.ring.Rotate(t.Context(), "ES256", true), p.close())) // something to sign
	stop()
	select {
	case err = <-served:
	case <-time.After(witness.LastWords + 10*time.Second):
		t.Fatal("it does not end")
	}
	if err == nil || !strings.Contains(err.Error(), "audit export: ") || strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("it ended with %v", err)
	}
	if after, err := os.Stat(s.checkpoint); err != nil || after.Size() <= before.Size() {
		t.Errorf("no last checkpoint: %v", err)
	}
}
