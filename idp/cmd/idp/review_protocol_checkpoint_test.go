package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// restarted assembles a provider of a database as a start does, lets it sign a checkpoint of what it recorded, and ends it.
func (w *world) restarted(database, checkpoints string) error {
	w.Helper()
	s, err := testSettings(w.issuer, database, w.clock, slog.New(slog.DiscardHandler))
	w.must(err)
	s.checkpoint = checkpoints
	p, err := assemble(w.Context(), s)
	if err != nil {
		return err
	}
	w.must(p.ring.Rotate(w.Context(), "ES256", true))
	w.must(p.signs.Once(w.Context()))
	return p.close()
}

func TestCheckpoints_AWriterThatWasCutOffKeepsNobodyFromStarting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "checkpoints")
	w.must(w.p.close())
	w.must(w.restarted(w.file, file))
	whole, err := os.ReadFile(file)
	w.must(err)
	for _, torn := range []string{string(whole[:len(whole)/2]), string(whole[:len(whole)-2]), "\x00\x00\x00\x00", "e"} {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
		w.must(err)
		_, err = io.WriteString(f, torn)
		w.must(err)
		w.must(f.Close())
		w.must(w.restarted(w.file, file))
		w.must(w.restarted(w.file, file)) // what was appended behind it is read back
	}
	wrong := strings.Replace(string(whole), "\nwit_", "\nwit_x", 1)
	now, err := os.ReadFile(file)
	w.must(err)
	w.must(os.WriteFile(file, append(now, wrong...), 0o600))
	if err := w.restarted(w.file, file); err == nil || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("a whole one that is wrong: %v", err)
	}
}

func TestFault_F11_ARestoredCopyDoesNotStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file, old := filepath.Join(t.TempDir(), "checkpoints"), filepath.Join(t.TempDir(), "old.db")
	w.must(w.p.close())
	w.must(w.restarted(w.file, file))
	copied, err := os.ReadFile(w.file)
	w.must(err)
	w.must(os.WriteFile(old, copied, 0o600))
	w.must(w.restarted(w.file, file))
	if err := w.restarted(old, file); err == nil || !strings.Contains(err.Error(), "restored copy") {
		t.Errorf("the copy: %v", err)
	}
	w.must(w.restarted(w.file, file))
}
