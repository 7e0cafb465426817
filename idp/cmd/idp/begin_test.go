package main

import (
	"bytes"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
)

// A provider whose checkpoints are gone is not served over a database of which nobody could say that it was set back, until
// somebody answers for it.
func TestServe_AFileOfCheckpointsThatIsGoneIsMissed(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	w.signedIn(ben)
	w.must(w.p.signs.Once(t.Context()))
	w.clock.Advance(2 * time.Hour)
	second, empty := filepath.Join(w.dir, "second"), filepath.Join(w.dir, "empty")
	w.must(os.WriteFile(empty, nil, 0o600))
	for _, gone := range []string{empty, second} {
		if err := w.serve(w.file, gone); err == nil || !strings.Contains(err.Error(), "idp audit begin --checkpoint-file "+gone) {
			t.Errorf("%s: %v", gone, err)
		}
	}
	begin := []string{"audit", "begin", "--database", "sqlite:" + w.file, "--issuer", w.issuer, "--kek-file", w.kek}
	if status, said := w.command(nil, begin...); status != exitConfig || !strings.Contains(said, "--checkpoint-file") {
		t.Errorf("no file is named: %d %s", status, said)
	}
	if status, said := w.command(nil, append(slices.Clone(begin), "--checkpoint-file", second)...); status != exitUsage || !strings.Contains(said, "--no-other-witness") {
		t.Errorf("nobody answers for the database: %d %s", status, said)
	}
	begin = append(begin, "--witness", w.points)
	w.ok(nil, append(slices.Clone(begin), "--checkpoint-file", second)...)
	w.must(w.serve(w.file, second))
	again := append(slices.Clone(begin), "--checkpoint-file", w.points)
	if status, said := w.command(nil, again...); status != exitFailed || !strings.Contains(said, "nothing to begin") {
		t.Errorf("one that holds checkpoints: %d %s", status, said)
	}
	w.ok(nil, append(again, "--if-missing")...)
	list, err := w.p.store.LatestEvents(t.Context(), 1000)
	if err != nil || !slices.ContainsFunc(list, func(e audit.Stored) bool {
		return e.Type == "checkpoints.begun" && e.Detail["file"] == second && e.Actor == operator()
	}) {
		t.Errorf("it does not stand in the audit: %v", err)
	}
}

// A database that lacks what another witness knows gets no file of checkpoints: by that it would pass for the whole.
func TestBegin_ADatabaseThatWasSetBackIsRefusedByTheOtherWitnesses(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	old := filepath.Join(w.dir, "old.db")
	w.ok(nil, "backup", old, "--database", "sqlite:"+w.file)
	db, err := sql.Open("sqlite", old)
	w.must(err)
	_, err = db.ExecContext(t.Context(), `DELETE FROM copies`) // as a copy by other means has no mark
	w.must(errors.Join(err, db.Close()))
	w.signedIn(ben)
	w.must(w.p.signs.Once(t.Context()))
	w.ok(nil, "audit", "export", w.export, "--database", "sqlite:"+w.file)
	third := filepath.Join(w.dir, "third")
	begin := []string{"audit", "begin", "--issuer", w.issuer, "--kek-file", w.kek, "--checkpoint-file", third}
	other := append(slices.Clone(begin), "--database", "sqlite:"+w.file)
	other[3] = strings.Replace(w.issuer, "http:", "https:", 1)
	set := append(slices.Clone(begin), "--database", "sqlite:"+old)
	for _, c := range []struct {
		why  string
		args []string
	}{
		{"is older than the last signed checkpoint", append(slices.Clone(set), "--witness", w.points)},
		{"is older than the export " + w.export, append(slices.Clone(set), "--audit", w.export)},
		{"no checkpoint is there", append(slices.Clone(set), "--witness", filepath.Join(w.dir, "none"))},
		{"it is of " + w.issuer, append(other, "--witness", w.points)},
	} {
		if status, said := w.command(nil, c.args...); status != exitFailed || !strings.Contains(said, c.why) {
			t.Errorf("%s: %d %s", c.why, status, said)
		}
	}
	if info, err := os.Stat(third); err == nil && info.Size() > 0 {
		t.Error("it is begun")
	}
	w.ok(nil, append(begin, "--database", "sqlite:"+w.file, "--witness", w.points, "--audit", w.export)...)
}

// A first start that fails leaves nothing behind that a later one misses, and one that could not sign is refused at once.
func TestServe_AFirstStartThatFailsBlocksNoLaterOne(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(time.Now())
	dir := t.TempDir()
	s, err := testSettings("http://127.0.0.1:1", filepath.Join(dir, "new.db"), clk, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.checkpoint = filepath.Join(dir, "mount", "points")
	start := func(what, wrong string) {
		t.Helper()
		p, err := assemble(t.Context(), s)
		if err == nil {
			err = p.close()
		} else if wrong != "" && strings.Contains(err.Error(), wrong) {
			err = nil
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		clk.Advance(2 * time.Hour)
	}
	start("no directory", "the directory "+filepath.Dir(s.checkpoint)+" is not there")
	if err := os.Mkdir(filepath.Dir(s.checkpoint), 0o700); err != nil {
		t.Fatal(err)
	}
	s.redis.URL = "nowhere://"
	start("no Redis", "--redis")
	s.redis.URL = ""
	start("a later start", "")
	start("the next one", "")
}

// A database that lacks what an export has, and is whole by itself, is found by the export.
func TestFault_F13_AuditVerifyNamesWhatOnlyTheExportHas(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	w.signedIn(ben)
	verify := []string{"audit", "verify", "--database", "sqlite:" + w.file}
	with := append(slices.Clone(verify), "--audit", w.export)
	w.ok(nil, "audit", "export", w.export, "--database", "sqlite:"+w.file)
	w.ok(nil, with...)
	w.exec(`DELETE FROM audit_events WHERE EXISTS (SELECT 1 FROM audit_writers w WHERE w.id = writer AND w.head_seq = seq AND w.head_seq > 1)`)
	w.exec(`UPDATE audit_writers SET head_seq = head_seq - 1, head_hash = (SELECT e.hash FROM audit_events e WHERE e.writer = id AND e.seq = head_seq - 1) WHERE head_seq > 1`)
	w.ok(nil, verify...)
	var out, errs bytes.Buffer
	if status := run(t.Context(), with, &out, &errs); status != exitFailed || !strings.Contains(out.String(), "BROKEN") || !strings.Contains(out.String(), "the export has this record, the database does not") {
		t.Errorf("%d: %s%s", status, &out, &errs)
	}
}
