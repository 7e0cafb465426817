package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ellis.example/caseservice/internal/store/sqlstore"
)

// A database that was set back to before a step of the schema, as a server restored to a point in time is, is brought up to date
// as it is accepted, and gets back what was lost.
func TestRestore_ADatabaseOfAnOlderReleaseIsBroughtUpToDateAsItIsAccepted(t *testing.T) {
	t.Parallel()
	f := newOffice(t, 2)
	saved := f.saved("saved")
	f.ok(nil, "case", "assign", f.cases[0].Receipt, "--sub", "ana")
	f.witnessed()
	f.database = "sqlite:" + saved
	f.sql(`DROP TABLE copies; DROP TABLE epochs; DELETE FROM goose_db_version WHERE version_id > 1`)
	f.database = "sqlite:" + filepath.Join(t.TempDir(), "new.db")
	if err := os.Rename(saved, strings.TrimPrefix(f.database, "sqlite:")); err != nil {
		t.Fatal(err)
	}
	var at sqlstore.SchemaStatus
	if f.ok(&at, "migrate", "status"); at.Current != 1 || at.Known == 1 {
		t.Fatalf("the older release: %+v", at)
	}
	var done acceptance
	if f.ok(&done, f.accept("--ledger", f.export)...); done.Epoch != 1 || done.Lost == 0 || len(done.Owners) != 1 || done.Unused != "known" {
		t.Errorf("%+v", done)
	}
	if f.ok(&at, "migrate", "status"); at.Current != at.Known {
		t.Errorf("accepted: %+v", at)
	}
	f.open()
	if got := f.list("ana"); !strings.Contains(got, f.cases[0].Receipt) {
		t.Errorf("hers: %s", got)
	}
	f.close()
}

// A ledger that lacks what an export has, and is whole by itself, is found by the export, until that is accepted.
func TestFault_F13_LedgerVerifyNamesWhatOnlyTheExportHas(t *testing.T) {
	t.Parallel()
	f := newOffice(t, 1)
	saved := f.saved("saved")
	f.ok(nil, "case", "assign", f.cases[0].Receipt, "--sub", "ana")
	f.witnessed()
	verify := []string{"ledger", "verify", "--ledger", f.export}
	f.ok(nil, verify...)
	r := f.placed(saved)
	if got := r.run(append(verify, "--database", r.database)...); got.status != exitFailed || !strings.Contains(got.err, "the export has this record, the database does not") {
		t.Errorf("%+v", got)
	}
	r.ok(nil, r.accept("--ledger", f.export)...)
	r.ok(nil, verify...)
}
