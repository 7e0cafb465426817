package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
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
	w.ok(nil, append(slices.Clone(begin), "--checkpoint-file", second)...)
	w.must(w.serve(w.file, second))
	if status, said := w.command(nil, append(slices.Clone(begin), "--checkpoint-file", w.points)...); status != exitFailed || !strings.Contains(said, "nothing to begin") {
		t.Errorf("one that holds checkpoints: %d %s", status, said)
	}
	list, err := w.p.store.LatestEvents(t.Context(), 1000)
	if err != nil || !slices.ContainsFunc(list, func(e audit.Stored) bool {
		return e.Type == "checkpoints.begun" && e.Detail["file"] == second && e.Actor == operator()
	}) {
		t.Errorf("it does not stand in the audit: %v", err)
	}
}
