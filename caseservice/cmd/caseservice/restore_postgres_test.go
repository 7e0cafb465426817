package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"ellis.example/caseservice/internal/sqldb/pgtest"
)

// A PostgreSQL server that was restored to a point in time is like any other copy: not served before it is accepted.
func TestFault_F11_CasePointInTimeRecoveryIsAccepted(t *testing.T) {
	t.Parallel()
	first, err := pgtest.Start(pgtest.Archiving...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Stop() }) // the test's end
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	o := newOperator(t)
	o.database = first.DSN("postgres")
	f := newOfficeOn(o, 3)
	f.refusesToCopy()
	base, err := first.BaseBackup()
	must(err)
	f.open()
	must(first.Mark(t.Context(), "here"))
	f.wants("ana", "ana", f.cases[0], f.cases[0].ClaimCode, http.StatusCreated, "")
	f.ok(nil, "case", "assign", f.cases[1].Receipt, "--sub", "bob")
	f.close()
	must(first.Mark(t.Context(), "lost"))
	must(first.Halt())
	second, err := first.RecoverTo(base, "here")
	must(err)
	t.Cleanup(func() { _ = second.Stop() })
	f.database = second.DSN("postgres")
	f.refused("--checkpoint-file", f.points)
	var done acceptance
	f.ok(&done, f.accept("--ledger", f.export)...)
	if done.Epoch != 1 || done.Lost < 2 || len(done.Owners) != 2 || done.Unused != "known" {
		t.Errorf("%+v", done)
	}
	f.recovered(second)
}

// recovered serves the server that was accepted.
func (f *office) recovered(second *pgtest.Server) {
	f.t.Helper()
	f.open()
	for sub, c := range map[string]imported{"ana": f.cases[0], "bob": f.cases[1]} {
		if body := f.list(sub); !strings.Contains(body, c.ID) {
			f.t.Errorf("%s has lost a case: %s", sub, body)
		}
	}
	f.wants("a claim at once", "carl", f.cases[2], f.cases[2].ClaimCode, http.StatusServiceUnavailable, "claims_paused")
	if err := second.Exec(f.t.Context(), `UPDATE epochs SET claims_from = 0`); err != nil {
		f.t.Fatal(err)
	}
	f.wants("the code that ana used", "carl", f.cases[0], f.cases[0].ClaimCode, http.StatusUnprocessableEntity, "claim_not_accepted")
	f.wants("a code that nobody used", "carl", f.cases[2], f.cases[2].ClaimCode, http.StatusCreated, "")
	f.close()
	f.ok(nil, "ledger", "verify", "--checkpoint-file", f.points, "--code-key-file", f.key)
}

// refusesToCopy looks at what the commands say of a server's database.
func (f *office) refusesToCopy() {
	f.t.Helper()
	file := filepath.Join(f.dir, "copy")
	if r := f.run("backup", "--to", file, "--database", f.database); r.status != exitFailed || !strings.Contains(r.err, "pg_basebackup") || !strings.Contains(r.err, "docs/operations/backup.md") {
		f.t.Errorf("backup: %d %s", r.status, r.err)
	}
	if left, _ := filepath.Glob(file + "*"); len(left) > 0 {
		f.t.Errorf("it leaves %v", left)
	}
	if r := f.run("restore", "--from", f.key, "--database", f.database); r.status != exitConfig || !strings.Contains(r.err, "own means") {
		f.t.Errorf("restore: %d %s", r.status, r.err)
	}
}
