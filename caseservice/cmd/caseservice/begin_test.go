package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/unit"
)

// A case service whose checkpoints are gone is not served over a database of which nobody could say that it was set back, until
// somebody answers for it.
func TestServe_ACaseFileOfCheckpointsThatIsGoneIsMissed(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	now := clock.NewFake(time.Now())
	var s settings
	s.database, s.checkpoints = o.database, filepath.Join(o.dir, "points")
	code := bytes.Repeat([]byte{0xab}, 32)
	store, err := sqlstore.Open(t.Context(), sqlstore.Options{Database: s.database, Role: s.role(), Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	start := func() error {
		_, err := s.witnesses(t.Context(), store, code, now, slog.New(slog.DiscardHandler))
		return err
	}
	if err := start(); err != nil {
		t.Fatalf("the first start: %v", err)
	}
	if err := store.Commit(t.Context(), unit.Unit{Event: operation("case.read")}); err != nil {
		t.Fatal(err)
	}
	now.Advance(2 * time.Hour)
	if err := start(); err != nil { // it was killed before it signed what it recorded
		t.Errorf("a later start: %v", err)
	}
	if err := os.Remove(s.checkpoints); err != nil {
		t.Fatal(err)
	}
	if err := start(); err == nil || !strings.Contains(err.Error(), "caseservice ledger begin --checkpoint-file "+s.checkpoints) {
		t.Errorf("it is gone: %v", err)
	}
	begin := []string{"ledger", "begin", "--code-key-file", o.key}
	if got := o.run(append(begin, "--database", o.database)...); got.status != exitConfig {
		t.Errorf("no file is named: %+v", got)
	}
	begin = append(begin, "--checkpoint-file", s.checkpoints)
	o.ok(nil, begin...)
	if err := start(); err != nil {
		t.Errorf("once it is begun: %v", err)
	}
	if got := o.run(append(begin, "--database", o.database)...); got.status != exitFailed {
		t.Errorf("begun once more: %+v", got)
	}
	last, err := store.Tail(t.Context(), nil, 1)
	if err != nil || len(last) != 1 || last[0].Act != "checkpoints.begin" || last[0].Reason != "file="+s.checkpoints {
		t.Errorf("%+v, %v", last, err)
	}
}
