package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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
	begin = append(begin, "--database", o.database, "--checkpoint-file", s.checkpoints)
	audience := []string{"--audience", "http://localhost:8081"}
	if got := o.run(append(slices.Clone(begin), "--no-other-witness")...); got.status != exitConfig || !strings.Contains(got.err, "--audience") {
		t.Errorf("no audience: %+v", got)
	}
	begin = append(begin, audience...)
	if got := o.run(begin...); got.status == exitOK || !strings.Contains(got.err, "--no-other-witness") {
		t.Errorf("nobody answers for the database: %+v", got)
	}
	begin = append(begin, "--no-other-witness")
	if got := o.run(begin...); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	if err := start(); err != nil {
		t.Errorf("once it is begun: %v", err)
	}
	if got := o.run(begin...); got.status != exitFailed {
		t.Errorf("begun once more: %+v", got)
	}
	if got := o.run(append(slices.Clone(begin), "--if-missing")...); got.status != exitOK {
		t.Errorf("where it is missing: %+v", got)
	}
	last, err := store.Tail(t.Context(), nil, 1)
	if err != nil || len(last) != 1 || last[0].Act != "checkpoints.begin" || last[0].Reason != "file="+s.checkpoints {
		t.Errorf("%+v, %v", last, err)
	}
}

// A ledger that lacks what another witness knows gets no file of checkpoints: by that it would pass for the whole.
func TestBegin_ALedgerThatWasSetBackIsRefusedByTheOtherWitnesses(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.ok(nil, "migrate", "up")
	work := func(n int) { o.feed(fmt.Sprintf(line, n, false), "case", "import", "-", "--database", o.database) }
	work(1)
	old := filepath.Join(o.dir, "old.db")
	o.ok(nil, "backup", "--to", old)
	work(2)
	points, export, fresh := filepath.Join(o.dir, "points"), filepath.Join(o.dir, "export"), filepath.Join(o.dir, "fresh")
	begin := func(database, file string, more ...string) result {
		return o.run(append([]string{"ledger", "begin", "--code-key-file", o.key, "--audience", "http://localhost:8081", "--database", database, "--checkpoint-file", file}, more...)...)
	}
	if got := begin(o.database, points, "--no-other-witness"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	o.ok(nil, "ledger", "export", export)
	for what, more := range map[string][]string{"a checkpoint": {"--witness", points}, "an export": {"--ledger", export}} {
		if got := begin("sqlite:"+old, fresh, more...); got.status != exitFailed || !strings.Contains(got.err, "is older than") {
			t.Errorf("%s: %+v", what, got)
		}
	}
	if got := begin(o.database, fresh, "--witness", points, "--ledger", export); got.status != exitOK {
		t.Errorf("whole: %+v", got)
	}
}
