package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"ellis.example/caseservice/internal/witness"
)

// Another process hangs with the export in its hands: that holds neither the end of this one nor its last checkpoint, and
// what is missing is said.
func TestServe_AnExportThatHangsHoldsNeitherTheEndNorTheLastCheckpoint(t *testing.T) {
	t.Parallel()
	f := newOffice(t, 1)
	f.open()
	h, err := os.OpenFile(f.export, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	if err := syscall.Flock(int(h.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	f.until(func() bool { info, err := os.Stat(f.points); return err == nil && info.Size() > 0 })
	before, err := os.Stat(f.points)
	if err != nil {
		t.Fatal(err)
	}
	f.add(1, 1) // something to sign
	began := time.Now()
	f.p.signal(syscall.SIGTERM)
	if status, took := f.p.wait(), time.Since(began); status != exitFailed || took > witness.LastWords+5*time.Second || !strings.Contains(f.p.log.String(), "ledger export: ") {
		t.Errorf("status %d after %v: %s", status, took, f.p.log)
	}
	if after, err := os.Stat(f.points); err != nil || after.Size() <= before.Size() {
		t.Errorf("no last checkpoint: %v", err)
	}
}

func TestServe_TellsHowOldItsWitnessesAre(t *testing.T) {
	t.Parallel()
	f := newOffice(t, 1)
	f.open()
	f.until(func() bool {
		_, body := f.p.get(f.p.private + "/metrics")
		return strings.Contains(body, "\ncaseservice_ledger_export_age_seconds 0.") && strings.Contains(body, "\ncaseservice_ledger_checkpoint_age_seconds ") &&
			!strings.Contains(body, "\ncaseservice_ledger_checkpoint_age_seconds 0\n")
	})
	f.close()
}
