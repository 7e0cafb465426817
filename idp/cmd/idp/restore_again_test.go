package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/witness"
)

// acceptance is what accepting prints, as far as these tests look.
type acceptance struct {
	Epoch   int64
	Signed  bool
	Lost    int64 `json:"lost_at_least"`
	Locked  []string
	Until   string `json:"known_until"`
	Unknown string
}

// placed restores a backup into nothing and returns where.
func (r *restoring) placed(backup string) string {
	r.Helper()
	file := filepath.Join(r.TempDir(), "new.db")
	r.ok(nil, "restore", backup, "--database", "sqlite:"+file)
	return file
}

// asks demands that a call is not accepted without a choice, for a reason.
func (r *restoring) asks(what, why string, args []string) {
	r.Helper()
	if status, said := r.command(nil, args...); status != exitUsage || !strings.Contains(said, "--unknown") || !strings.Contains(said, why) {
		r.Errorf("%s: %d %s", what, status, said)
	}
}

// serveAgain serves a database and takes something that happens in it to the witnesses.
func (r *restoring) serveAgain(file, export string) {
	r.Helper()
	r.today()
	r.must(r.serve(file, r.points))
	r.browser().get("/account").submit("identifier", ben, "password", pass) // who may be locked
	r.witnessed(file, export)
}

func (r *restoring) witnessed(file, export string) {
	r.Helper()
	r.must(r.p.signs.Once(r.Context()))
	r.ok(nil, "audit", "export", export, "--database", "sqlite:"+file)
}

// getsIn reports whether ana signs in with the password of the backup.
func (r *restoring) getsIn(file string) bool {
	r.Helper()
	r.today()
	r.must(r.serve(file, r.points))
	return r.browser().get("/account").submit("identifier", ana, "password", pass).b.isIn()
}

// changed is a world in which ana's password was changed after a backup.
func changed(t *testing.T) (w *restoring, saved string) {
	t.Helper()
	w = newRestoring(t)
	saved = filepath.Join(w.dir, "saved")
	w.ok(nil, "backup", saved, "--database", "sqlite:"+w.file)
	w.signedIn(ana).get("/account/password").submit("current_password", pass, "new_password", "another lamp on that jetty")
	w.witnessed(w.file, w.export)
	return w, saved
}

// What the first restore of a copy locked is not unlocked by the second one.
func TestRestore_ASecondRestoreOfACopyKnowsWhatTheFirstDid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		more []string // of the first acceptance
		same bool     // the export goes on in the same file
		why  string   // the second one asks
	}{
		{"nobody knew", []string{"--unknown", "lock"}, false, "did not know all"},
		{"the export is another", []string{"--audit"}, false, "not the one that it read"},
		{"the export goes on", []string{"--audit"}, true, ""},
	} {
		w, saved := changed(t)
		if c.more[0] == "--audit" {
			c.more = append(c.more, w.export)
		}
		first := w.placed(saved)
		w.ok(nil, w.accept(first, w.points, c.more...)...)
		if !c.same {
			w.export += "2"
		}
		w.serveAgain(first, w.export)
		second := w.placed(saved)
		args := w.accept(second, w.points, "--audit", w.export)
		if c.why != "" {
			w.asks(c.name, c.why, args)
			args = append(args, "--unknown", "lock")
		}
		var done acceptance
		w.ok(&done, args...)
		if c.same && (!slices.Contains(done.Locked, w.people[ana]) || done.Until == "") {
			t.Errorf("%s: %+v", c.name, done)
		}
		if w.getsIn(second) {
			t.Errorf("%s: the backup's password opens ana's account", c.name)
		}
	}
}

// A copy that was made after a restore holds that; what this threw away does not come again.
func TestRestore_WhatAnEarlierRestoreThrewAwayStaysAway(t *testing.T) {
	t.Parallel()
	w, saved := changed(t)
	first := w.placed(saved)
	w.ok(nil, w.accept(first, w.points, "--unknown", "keep")...)
	w.serveAgain(first, w.export)
	newer := filepath.Join(w.dir, "newer")
	w.ok(nil, "backup", newer, "--database", "sqlite:"+first)
	w.serveAgain(first, w.export)
	second := w.placed(newer)
	var done acceptance
	w.ok(&done, w.accept(second, w.points, "--audit", w.export)...)
	if done.Epoch != 2 || done.Lost < 1 || len(done.Locked) > 0 {
		t.Errorf("%+v", done)
	}
	if !w.getsIn(second) {
		t.Error("ana's password, which she has had since the first restore, opens nothing")
	}
}

// An acceptance that was not signed everywhere is signed by the same call, and nothing is applied twice.
func TestRestore_RunAgainItOnlySigns(t *testing.T) {
	t.Parallel()
	w, saved := changed(t)
	other, third, late := w.copied(w.points, "other"), w.copied(w.points, "third"), w.copied(w.points, "late")
	file := w.placed(saved)
	w.ok(nil, w.accept(file, w.points, "--audit", w.export)...)
	for _, args := range [][]string{
		w.accept(file, w.points+","+other, "--audit", w.export), // signed in one of two
		w.accept(file, third), // signed nowhere, and no export is named
	} {
		var done acceptance
		if w.ok(&done, args...); done.Epoch != 1 || !done.Signed {
			t.Errorf("%v: %+v", args, done)
		}
	}
	for _, points := range []string{w.points, other, third} {
		w.today()
		w.must(w.serve(file, points))
	}
	w.signsOnlySoon(late)
	again := w.accept(file, w.points, "--audit", w.export)
	if status, said := w.command(nil, again...); status != exitUsage || !strings.Contains(said, "--accept-in-use") {
		t.Errorf("nothing shows that it was restored: %d %s", status, said)
	}
	var done acceptance
	if w.ok(&done, append(again, "--accept-in-use")...); done.Epoch != 2 || done.Signed || len(done.Locked) > 0 {
		t.Errorf("signed everywhere: %+v", done)
	}
	fourth := w.copied(other, "fourth")
	w.serveAgain(file, w.export)
	w.ok(nil, "audit", "verify", "--database", "sqlite:"+file, "--issuer", w.issuer, "--kek-file", w.kek, "--checkpoint-file", w.points)
	if w.ok(&done, w.accept(file, fourth, "--audit", w.export)...); done.Epoch != 2 || !done.Signed {
		t.Errorf("it went on, and all of that is exported: %+v", done)
	}
	w.ok(nil, "audit", "verify", "--database", "sqlite:"+file, "--issuer", w.issuer, "--kek-file", w.kek, "--checkpoint-file", fourth)
	done = acceptance{}
	if w.ok(&done, w.accept(file, w.copied(other, "fifth"), "--unknown", "keep")...); done.Epoch != 3 || done.Signed {
		t.Errorf("it went on, and nothing says how far: %+v", done)
	}
}

// A copy of a database that was accepted a moment ago is a copy.
func TestRestore_ACopyIsNotOnlySigned(t *testing.T) {
	t.Parallel()
	w, saved := changed(t)
	unsigned, file, copied := w.copied(w.points, "unsigned"), w.placed(saved), filepath.Join(w.dir, "copied")
	w.ok(nil, w.accept(file, w.points, "--audit", w.export)...)
	w.ok(nil, "backup", copied, "--database", "sqlite:"+file)
	second := w.placed(copied)
	var done acceptance
	if w.ok(&done, w.accept(second, unsigned, "--audit", w.export)...); done.Epoch != 2 || done.Signed || len(done.Locked) > 0 {
		t.Errorf("%+v", done)
	}
	w.today()
	w.must(w.serve(second, unsigned))
}

// signsOnlySoon looks at when an acceptance that a file does not tell of is only signed: a database that was copied right after
// it was accepted looks the same.
func (r *restoring) signsOnlySoon(unsigned string) {
	r.Helper()
	seed, err := r.p.ring.Secret("checkpoint")
	r.must(err)
	key, err := witness.NewKey(r.p.issuer.Hostname(), seed)
	r.must(err)
	files, err := witness.OpenFiles([]string{unsigned}, key)
	r.must(err)
	var l lostTime
	l.epoch, err = r.p.store.Epoch(r.Context())
	r.must(err)
	r.must(l.readAccepted(r.Context(), r.p.store))
	l.Heads, err = r.p.store.Heads(r.Context())
	r.must(err)
	for age, want := range map[time.Duration]bool{4 * time.Minute: true, 6 * time.Minute: false} {
		l.Now, l.Latest = l.Last.Add(age), true
		l.Until = l.Last
		if signs, err := l.OnlySign(r.Context(), r.p.store, files); err != nil || signs != want {
			r.Errorf("after %v: %v, %v", age, signs, err)
		}
		l.Latest = false
		if signs, err := l.OnlySign(r.Context(), r.p.store, files); err != nil || signs {
			r.Errorf("after %v, and something happened since: %v, %v", age, signs, err)
		}
	}
}

// takesNoWrites looks at commands over a copy that nobody accepted: a record of theirs would say that it was in use until now.
func (r *restoring) takesNoWrites(file string) {
	r.Helper()
	made := filepath.Join(r.TempDir(), "made")
	for _, args := range [][]string{{"backup", made}, {"user", "disable", ana, "--reason", "test"}} {
		if status, said := r.command(nil, append(args, "--database", "sqlite:"+file)...); status != exitFailed || !strings.Contains(said, "idp restore --accept") {
			r.Errorf("%v: %d %s", args, status, said)
		}
	}
	if left, _ := filepath.Glob(made + "*"); len(left) > 0 {
		r.Errorf("it leaves %v", left)
	}
	r.ok(nil, "audit", "verify", "--database", "sqlite:"+file)
	r.ok(nil, "migrate", "up", "--database", "sqlite:"+file)
}

// Witnesses that both stopped before the database was lost do not pass for ones that know all.
func TestRestore_WitnessesThatEndedEarlyAreSaidToHave(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	w.clock.Advance(-time.Hour)
	w.wants("the last that is known", w.as("machine", "/token", machineForm()), http.StatusOK, "")
	ended := w.clock.Now()
	w.witnessed(w.file, w.export)
	saved := filepath.Join(w.dir, "saved")
	w.ok(nil, "backup", saved, "--database", "sqlite:"+w.file)
	at := func(after time.Duration) string { return ended.Add(after).UTC().Format(time.RFC3339) }
	file := w.placed(saved)
	w.takesNoWrites(file)
	args := w.accept(file, w.points, "--audit", w.export)
	w.asks("nobody says when it was lost", "what is known ends at "+at(0), args)
	w.asks("it was lost later", "in use until "+at(6*time.Minute), append(slices.Clone(args), "--lost-at", at(6*time.Minute)))
	for _, wrong := range []string{"yesterday", at(2 * time.Hour), at(-time.Hour)} {
		if status, said := w.command(nil, append(slices.Clone(args), "--lost-at", wrong)...); status != exitUsage || !strings.Contains(said, "--lost-at: ") {
			t.Errorf("%s: %d %s", wrong, status, said)
		}
	}
	var done acceptance
	w.ok(&done, append(args, "--lost-at", at(4*time.Minute))...)
	if done.Until != at(0) || done.Unknown != "" {
		t.Errorf("%+v", done)
	}
	w.today()
	w.must(w.serve(file, w.points))
	var n int
	w.count(&n, `SELECT count(*) FROM audit_events WHERE CAST(body AS TEXT) LIKE '%"type":"epoch.raised"%"known_until":"`+at(0)+`"%"lost_at":"`+at(4*time.Minute)+`"%'`)
	if n != 1 {
		t.Errorf("%d events tell of it", n)
	}
}

// A backup of an older release is placed, brought up to date, and then accepted.
func TestRestore_ABackupOfAnOlderReleaseIsPlaced(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	w.signedIn(ben)
	w.witnessed(w.file, w.export)
	saved := filepath.Join(w.dir, "saved")
	w.ok(nil, "backup", saved, "--database", "sqlite:"+w.file)
	w.file = saved
	w.exec(`DROP INDEX feed_events_client`) // what the steps behind the twelfth add
	w.exec(`DELETE FROM goose_db_version WHERE version_id > 12`)
	file := filepath.Join(t.TempDir(), "new.db")
	var b backup
	if w.ok(&b, "restore", saved, "--database", "sqlite:"+file); !b.Older || b.Accounts != 2 {
		t.Errorf("%+v", b)
	}
	args := w.accept(file, w.points, "--audit", w.export)
	if status, said := w.command(nil, args...); status != exitFailed || !strings.Contains(said, "migrate up") {
		t.Errorf("before it is brought up to date: %d %s", status, said)
	}
	w.ok(nil, "migrate", "up", "--database", "sqlite:"+file)
	w.ok(nil, args...)
	w.today()
	w.must(w.serve(file, w.points))
	w.file = saved
	w.exec(`DROP TABLE copies`)
	if status, said := w.command(nil, "restore", saved, "--database", "sqlite:"+filepath.Join(t.TempDir(), "new.db")); status != exitFailed || !strings.Contains(said, "older schema") {
		t.Errorf("of a release that made no backups: %d %s", status, said)
	}
}

// A witness that is gone is none that is young.
func TestAuditVerify_AWitnessThatIsGoneFails(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	w.must(w.p.signs.Once(t.Context()))
	verify := []string{"audit", "verify", "--database", "sqlite:" + w.file}
	if status, said := w.command(nil, append(slices.Clone(verify), "--max-age", "1h")...); status != exitUsage || !strings.Contains(said, "--max-age") {
		t.Errorf("no copy is named: %d %s", status, said)
	}
	empty := filepath.Join(w.dir, "empty")
	w.must(os.WriteFile(empty, nil, 0o600))
	for _, gone := range []string{empty, filepath.Join(w.dir, "missing")} {
		args := append(slices.Clone(verify), "--issuer", w.issuer, "--kek-file", w.kek, "--checkpoint-file", gone)
		if status, said := w.command(nil, args...); status != exitFailed || !strings.Contains(said, gone) {
			t.Errorf("%s: %d %s", gone, status, said)
		}
	}
	if status, _ := w.command(nil, append(slices.Clone(verify), "--max-age", "1h", "--audit", empty)...); status != exitFailed {
		t.Errorf("an export that holds nothing: %d", status)
	}
}
