package main

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/unit"
	"ellis.example/caseservice/internal/witness"
)

// placed lets the office go on over a restored backup that nobody accepted yet, with the witnesses that it has.
func (f *office) placed(backup string) *office {
	f.t.Helper()
	r := f.restored(backup)
	r.points, r.export = f.points, f.export
	return r
}

// witnessed takes what is recorded to the witnesses.
func (f *office) witnessed() {
	f.t.Helper()
	f.open()
	f.close()
}

// saved is a backup of the database as it is.
func (f *office) saved(name string) string {
	f.t.Helper()
	to := filepath.Join(f.dir, name)
	f.ok(nil, "backup", "--to", to)
	return to
}

// asks demands that a call is not accepted without a choice, for a reason.
func (f *office) asks(what, why string, args []string) {
	f.t.Helper()
	if r := f.run(append(args, "--database", f.database)...); r.status != exitConfig || !strings.Contains(r.err, "--unknown") || !strings.Contains(r.err, why) {
		f.t.Errorf("%s: %d %s", what, r.status, r.err)
	}
}

// Codes that the first restore of a copy ended do not open with the second one.
func TestRestore_ASecondRestoreOfACaseCopyKnowsWhatTheFirstDid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		known bool   // to the first restore
		same  bool   // the export goes on in the same file
		why   string // the second one asks
	}{
		{"nobody knew", false, false, "did not know all"},
		{"the export is another", true, false, "not the one that it read"},
		{"the export goes on", true, true, ""},
	} {
		f := newOffice(t, 2)
		saved := f.saved("saved")
		f.ok(nil, "case", "assign", f.cases[0].Receipt, "--sub", "ana")
		f.witnessed()
		first, more := f.placed(saved), []string{"--unknown", "end"}
		if c.known {
			more = []string{"--ledger", f.export}
		}
		first.ok(nil, first.accept(more...)...)
		if !c.same {
			first.export += "2"
		}
		first.witnessed()
		second := first.placed(saved)
		args := second.accept("--ledger", second.export)
		if c.why != "" {
			second.asks(c.name, c.why, args)
			continue
		}
		var done acceptance
		if second.ok(&done, args...); done.Unused != "known" || len(done.Owners) != 1 || done.Until.IsZero() {
			t.Errorf("%s: %+v", c.name, done)
		}
	}
}

// What a restore threw away is no part of the past of a backup that was made after it.
func TestRestore_WhatAnEarlierCaseRestoreThrewAwayStaysAway(t *testing.T) {
	t.Parallel()
	f := newOffice(t, 2)
	saved := f.saved("saved")
	f.ok(nil, "case", "assign", f.cases[0].Receipt, "--sub", "eve")
	f.ok(nil, "case", "code", f.cases[1].Receipt, "--code-key-file", f.key)
	f.witnessed()
	first := f.placed(saved)
	first.ok(nil, first.accept("--unknown", "keep")...)
	var fresh struct{ Cases []imported }
	first.ok(&fresh, "case", "code", f.cases[1].Receipt, "--code-key-file", f.key)
	first.witnessed()
	second := first.placed(first.saved("newer"))
	var done acceptance
	if second.ok(&done, second.accept("--ledger", first.export)...); done.Epoch != 2 || len(done.Owners) > 0 || len(done.Codes) > 0 || done.Unused != "known" {
		t.Errorf("%+v", done)
	}
	second.reopens()
	second.open()
	if body := second.list("eve"); strings.Contains(body, f.cases[0].ID) {
		t.Errorf("eve has a case again that the first restore gave back: %s", body)
	}
	second.wants("the code that was made since", "ana", f.cases[1], fresh.Cases[0].ClaimCode, http.StatusCreated, "")
	second.close()
}

// An acceptance that was not signed everywhere is signed by the same call, and nothing is done twice.
func TestRestore_RunAgainTheCaseServiceOnlySigns(t *testing.T) {
	t.Parallel()
	f := newOffice(t, 4)
	saved := f.saved("saved")
	f.open()
	f.wants("a guess", "eve", f.cases[0], f.cases[1].ClaimCode, http.StatusUnprocessableEntity, "claim_not_accepted")
	f.close()
	text, err := os.ReadFile(f.points)
	if err != nil {
		t.Fatal(err)
	}
	other, third := f.write("other", string(text)), f.write("third", string(text))
	r := f.placed(saved)
	r.ok(nil, r.accept("--ledger", f.export)...)
	tries := func() int { return r.count(`SELECT n FROM claim_tries WHERE sub = 'eve'`) }
	if tries() != 1 {
		t.Errorf("%d tries", tries())
	}
	accept := []string{"restore", "--accept", "--code-key-file", f.key, "--ledger", f.export}
	for _, args := range [][]string{
		append(slices.Clone(accept), "--checkpoint-file", f.points+","+other),
		append(slices.Clone(accept[:4]), "--checkpoint-file", third), // and no export is named
	} {
		var done acceptance
		if r.ok(&done, args...); done.Epoch != 1 || !done.Signed || tries() != 1 {
			t.Errorf("%v: %+v, %d tries", args, done, tries())
		}
	}
	for _, r.points = range []string{f.points, other, third} {
		r.ok(nil, "ledger", "verify", "--checkpoint-file", r.points, "--code-key-file", f.key)
		r.witnessed()
	}
	r.ok(nil, "case", "assign", f.cases[3].Receipt, "--sub", "ana")
	r.witnessed()
	var done acceptance
	if r.ok(&done, append(slices.Clone(accept), "--checkpoint-file", f.write("fourth", string(text)))...); done.Epoch != 1 || !done.Signed {
		t.Errorf("it went on, and all of that is exported: %+v", done)
	}
	r.ok(nil, "ledger", "verify", "--checkpoint-file", filepath.Join(f.dir, "fourth"), "--code-key-file", f.key)
	done = acceptance{}
	if r.ok(&done, append(accept, "--checkpoint-file", third, "--accept-in-use")...); done.Epoch != 2 || done.Signed || tries() != 1 || done.Unused != "known" {
		t.Errorf("it was served since: %+v, %d tries", done, tries())
	}
}

// A copy of a database that was accepted a moment ago is a copy.
func TestRestore_ACaseCopyIsNotOnlySigned(t *testing.T) {
	t.Parallel()
	f := newOffice(t, 1)
	saved := f.saved("saved")
	f.ok(nil, "case", "assign", f.cases[0].Receipt, "--sub", "ana")
	f.witnessed()
	first := f.restored(saved) // with a copy of the checkpoints
	first.ok(nil, first.accept("--ledger", f.export)...)
	second := f.placed(first.saved("copied"))
	made := filepath.Join(f.dir, "made")
	if r := second.run("backup", "--to", made, "--database", second.database); r.status != exitFailed || !strings.Contains(r.err, "what it was restored from is its backup") {
		t.Errorf("backup: %d %s", r.status, r.err)
	}
	if left, _ := filepath.Glob(made + "*"); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
	var done acceptance
	if second.ok(&done, second.accept("--ledger", f.export)...); done.Epoch != 2 || done.Signed || len(done.Owners) > 0 {
		t.Errorf("%+v", done)
	}
	second.witnessed()
}

// Witnesses that both stopped before the database was lost do not pass for ones that know all.
func TestRestore_CaseWitnessesThatEndedEarlyAreSaidToHave(t *testing.T) {
	t.Parallel()
	f := &office{operator: newOperator(t)}
	f.points, f.export = filepath.Join(f.dir, "points"), filepath.Join(f.dir, "export")
	clk := clock.NewFake(time.Now().Add(-time.Hour).Truncate(time.Second))
	at := func(after time.Duration) string { return clk.Now().Add(after).UTC().Format(time.RFC3339) }
	store, err := sqlstore.Open(t.Context(), sqlstore.Options{Database: f.database, Role: "serve", Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.NewKey(bytes.Repeat([]byte{0xab}, 32))
	_, bad := (&witness.Exporter{Log: store, File: f.export}).Once(t.Context())
	err = errors.Join(err, bad, store.Commit(t.Context(), unit.Unit{Event: operation("test")}))
	points := &witness.Checkpointer{Log: store, Key: key, File: f.points, Now: clk.Now}
	if err := errors.Join(err, points.Once(t.Context()), store.Close()); err != nil {
		t.Fatal(err)
	}
	f.ok(nil, "ledger", "export", f.export)
	args := f.accept("--ledger", f.export)
	if r := f.run(append(slices.Clone(args), "--database", f.database)...); r.status != exitConfig || !strings.Contains(r.err, "--accept-in-use") {
		t.Errorf("nothing shows that it was restored: %d %s", r.status, r.err)
	}
	args = append(args, "--accept-in-use")
	f.asks("nobody says when it was lost", "what is known ends at "+at(0), args)
	f.asks("it was lost later", "in use until "+at(6*time.Minute), append(slices.Clone(args), "--lost-at", at(6*time.Minute)))
	for _, wrong := range []string{"yesterday", at(2 * time.Hour), at(-time.Hour)} {
		if r := f.run(append(slices.Clone(args), "--lost-at", wrong, "--database", f.database)...); r.status != exitConfig || !strings.Contains(r.err, "--lost-at: ") {
			t.Errorf("%s: %d %s", wrong, r.status, r.err)
		}
	}
	var done acceptance
	if f.ok(&done, append(args, "--lost-at", at(4*time.Minute))...); done.Until.Format(time.RFC3339) != at(0) || done.Unused != "known" {
		t.Errorf("%+v", done)
	}
	if n := f.count(`SELECT count(*) FROM ledger WHERE act = 'restore.accept' AND reason LIKE '%,until=` + at(0) + `,%,lost_at=` + at(4*time.Minute) + `,codes=known'`); n != 1 {
		t.Errorf("%d entries tell of it", n)
	}
}
