package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/witness"
)

// today brings a world's clock to the present, in which commands live.
func (w *world) today() { w.clock.Advance(time.Since(w.clock.Now())) }

// restoring is a world with witnesses outside its database.
type restoring struct {
	*peopleWorld
	dir, kek, points, export string
}

func newRestoring(t *testing.T) *restoring {
	t.Helper()
	dir := t.TempDir()
	r := &restoring{dir: dir, kek: filepath.Join(dir, "kek"), points: filepath.Join(dir, "points"), export: filepath.Join(dir, "export")}
	r.peopleWorld = newPeople(t, func(s *settings) { s.checkpoint = r.points })
	r.must(os.WriteFile(r.kek, []byte(hex.EncodeToString(testKEK)), 0o600))
	r.today()
	return r
}

// command runs idp and reads what it prints as JSON.
func (r *restoring) command(into any, args ...string) (status int, said string) {
	r.Helper()
	var out, errs bytes.Buffer
	status = run(r.Context(), append(args, "--json"), &out, &errs)
	if into != nil && status == exitOK {
		r.must(json.Unmarshal(out.Bytes(), into))
	}
	return status, errs.String()
}

func (r *restoring) ok(into any, args ...string) {
	r.Helper()
	if status, said := r.command(into, args...); status != exitOK {
		r.Fatalf("%v: %d %s", args, status, said)
	}
}

// accept is the command line that accepts a database, with more flags.
func (r *restoring) accept(file, points string, more ...string) []string {
	return append([]string{"restore", "--accept", "--database", "sqlite:" + file, "--issuer", r.issuer, "--kek-file", r.kek, "--checkpoint-file", points}, more...)
}

// serve lets a provider over another database answer in place of the one before.
func (r *restoring) serve(file, points string) error {
	r.Helper()
	s, err := testSettings(r.issuer, file, r.clock, slog.New(slog.DiscardHandler))
	r.must(err)
	s.relay, s.checkpoint = r.p.relay, points
	p, err := assemble(r.Context(), s)
	if err != nil {
		return err
	}
	r.Cleanup(func() { _ = p.close() }) // the test's end
	r.p, r.file = p, file
	r.public.Store(&p.public)
	return nil
}

// copied copies a file, as it is, under another name.
func (r *restoring) copied(from, name string) string {
	r.Helper()
	text, err := os.ReadFile(from)
	r.must(err)
	to := filepath.Join(r.TempDir(), name)
	r.must(os.WriteFile(to, text, 0o600))
	return to
}

// load asks for tokens until it is ended, which returns how many it got.
func (r *restoring) load() (end func() int64) {
	var n atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a := r.as("machine", "/token", machineForm()); a.status != http.StatusOK {
					r.Errorf("under load: %d %s", a.status, a.body)
					return
				}
				n.Add(1)
			}
		})
	}
	return func() int64 { close(stop); wg.Wait(); return n.Load() }
}

// Every backup under load is whole; whatever was issued, spent or revoked before it or after it is void once it is accepted.
func TestFault_F11_BackupsUnderLoadBringNothingBack(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	b := w.signedIn(ben)
	old := w.tokensIn(b, "web")
	codes := w.benCodes(b)
	w.today()
	spare := b.newCode(ben, "web")
	assertion := w.assertion("ES256", object{})
	end := w.load()
	const many = 6
	var backups []string
	for i := range many {
		file := filepath.Join(w.dir, fmt.Sprint("backup", i))
		var made backup
		w.ok(&made, "backup", file, "--database", "sqlite:"+w.file)
		info, err := os.Stat(file)
		w.must(err)
		if info.Mode().Perm() != 0o600 || made.Accounts != 2 || made.Audit.Events == 0 || made.Bytes != info.Size() || len(made.SHA256) != 64 {
			t.Errorf("%v %+v", info.Mode(), made)
		}
		backups = append(backups, file)
	}
	if n := end(); n < many {
		t.Errorf("only %d tokens were issued meanwhile", n)
	}
	if status, _ := w.command(nil, "backup", backups[0], "--database", "sqlite:"+w.file); status != exitFailed {
		t.Error("a backup is overwritten")
	}
	// What happens after the last backup, and is lost.
	next := w.refresh("web", old.str("refresh_token"))
	w.wants("the machine", w.world.proven(assertion), http.StatusOK, "")
	step := w.code()
	if !w.recoverable(codes[0]) {
		t.Fatal("the recovery code does not open")
	}
	anas := w.signedIn(ana)
	anas.get("/account/password").submit("current_password", pass, "new_password", "another lamp on that jetty")
	b2 := w.signedIn(ben)
	b2.withdraw("web")
	_, err := w.admin().RotateSecret(t.Context(), "post", "operator:test")
	w.must(err)
	w.must(w.p.signs.Once(t.Context()))
	w.ok(nil, "audit", "export", w.export, "--database", "sqlite:"+w.file)
	for i, file := range backups {
		w.restoredIs(fmt.Sprint("backup ", i), file)
		w.voids(b, old.str("access_token"), next.str("access_token"), old.str("refresh_token"), next.str("refresh_token"), spare, step, assertion, codes)
	}
}

// recoverable reports whether a recovery code of ben opens.
func (r *restoring) recoverable(code string) bool {
	r.Helper()
	return r.recover(code).b.isIn()
}

// restoredIs restores a backup into nothing, accepts it and serves it.
func (r *restoring) restoredIs(what, backup string) {
	r.Helper()
	file, points := filepath.Join(r.TempDir(), "new.db"), r.copied(r.points, "points")
	r.ok(nil, "restore", backup, "--database", "sqlite:"+file)
	if status, said := r.command(nil, "restore", backup, "--database", "sqlite:"+file); status != exitFailed || !strings.Contains(said, "in this place") {
		r.Errorf("%s: a database is overwritten: %d %s", what, status, said)
	}
	for _, witness := range []string{"", points} {
		if err := r.serve(file, witness); err == nil || !strings.Contains(err.Error(), "idp restore --accept") {
			r.Fatalf("%s: served without being accepted: %v", what, err)
		}
	}
	var done struct {
		Epoch   int64
		Lost    int64 `json:"lost_at_least"`
		Locked  []string
		Secrets []string
	}
	r.ok(&done, r.accept(file, points, "--audit", r.export)...)
	if done.Epoch != 1 || done.Lost < 8 || len(done.Locked) != 1 || done.Locked[0] != r.people[ana] || len(done.Secrets) != 1 {
		r.Errorf("%s: %+v", what, done)
	}
	r.today()
	if err := r.serve(file, points); err != nil {
		r.Fatal(err)
	}
	var report struct {
		Whole    bool
		Restores []witness.Restore
	}
	r.ok(&report, "audit", "verify", "--database", "sqlite:"+file, "--issuer", r.issuer, "--kek-file", r.kek, "--checkpoint-file", points)
	if !report.Whole || len(report.Restores) != 1 || report.Restores[0].Lost < 8 {
		r.Errorf("%s: %+v", what, report)
	}
}

// voids looks at everything that must not come back.
func (r *restoring) voids(b *browser, a1, a2, r1, r2, spare, step, assertion string, recovery []string) {
	r.Helper()
	if b.isIn() {
		r.Error("a session came back")
	}
	for _, access := range []string{a1, a2} {
		if a := r.userinfo(access); a.status != http.StatusUnauthorized {
			r.Errorf("an access token came back: %d", a.status)
		}
	}
	for _, token := range []string{r1, r2} {
		r.wants("a refresh token", r.refresh("web", token), http.StatusBadRequest, "invalid_grant")
	}
	r.wants("a code", r.redeem("web", spare), http.StatusBadRequest, "invalid_grant")
	r.wants("an assertion", r.world.proven(assertion), http.StatusUnauthorized, "invalid_client")
	r.wants("a secret that was rotated", r.as("post", "/token", url.Values{"grant_type": {client.GrantRefresh}, "refresh_token": {r1}}), http.StatusUnauthorized, "invalid_client")
	if p := r.half(ben).submit("code", step); p.b.isIn() {
		r.Error("a one-time code came back")
	}
	for _, code := range recovery[:2] {
		if r.recoverable(code) {
			r.Error("a recovery code came back")
		}
	}
	if p := r.browser().get("/account").submit("identifier", ana, "password", pass); p.b.isIn() {
		r.Error("a password that was changed came back")
	}
	var consents int
	r.count(&consents, `SELECT count(*) FROM consents WHERE client = 'web'`)
	if consents != 0 {
		r.Error("a consent came back")
	}
	r.clock.Advance(2 * time.Hour) // what was counted of wrong guesses is forgotten
	r.wants("a new assertion", r.world.proven(r.assertion("ES256", object{})), http.StatusOK, "")
	if !r.signedIn(ben).isIn() {
		r.Error("nobody signs in any more")
	}
}

// A database that is set back underneath a running provider is not written to any more.
func TestFault_F11_ARunningProviderStopsWhenItsDatabaseIsSetBack(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	w.wants("before", w.as("machine", "/token", machineForm()), http.StatusOK, "")
	w.must(w.p.signs.Once(t.Context()))
	w.exec(`UPDATE audit_writers SET head_seq = head_seq - 1 WHERE head_seq > 1`)
	if err := w.p.signs.Once(t.Context()); err == nil {
		t.Fatal("it signs what was set back")
	}
	if a := w.as("machine", "/token", machineForm()); a.status != http.StatusServiceUnavailable {
		t.Errorf("it goes on: %d %s", a.status, a.body)
	}
	seed, err := w.p.ring.Secret("checkpoint")
	w.must(err)
	k, err := witness.NewKey(w.p.issuer.Hostname(), seed)
	w.must(err)
	heads, err := w.p.store.Heads(t.Context())
	w.must(err)
	text, err := k.Sign(witness.Checkpoint{Origin: w.issuer, At: w.clock.Now(), Heads: heads, Epoch: 1})
	w.must(errors.Join(err, witness.Append(w.points, text)))
	w.must(w.p.signs.Once(t.Context()))
	w.wants("once it is accepted", w.as("machine", "/token", machineForm()), http.StatusOK, "")
}

// Where nobody can know what was lost, the operator says what becomes of everybody.
func TestRestore_WithoutAnExportEverybodyIsLockedOrKept(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	w.signedIn(ben)
	w.must(w.p.signs.Once(t.Context()))
	saved := filepath.Join(w.dir, "saved")
	w.ok(nil, "backup", saved, "--database", "sqlite:"+w.file)
	for _, unknown := range []string{"lock", "keep"} {
		file, points := filepath.Join(t.TempDir(), "new.db"), w.copied(w.points, "points")
		w.ok(nil, "restore", saved, "--database", "sqlite:"+file)
		if status, said := w.command(nil, w.accept(file, points)...); status != exitUsage || !strings.Contains(said, "--unknown") {
			t.Errorf("without a choice: %d %s", status, said)
		}
		w.ok(nil, w.accept(file, points, "--unknown", unknown)...)
		w.today()
		w.must(w.serve(file, points))
		in := w.browser().get("/account").submit("identifier", ana, "password", pass).b.isIn()
		machine := w.as("machine", "/token", machineForm()).status == http.StatusOK
		if kept := unknown == "keep"; in != kept || machine != kept {
			t.Errorf("%s: ana signs in: %v, the machine gets a token: %v", unknown, in, machine)
		}
		if unknown == "lock" {
			w.opensOnlyAsRestored(file)
		}
	}
}

// opensOnlyAsRestored looks at the ways out of a lock: none opens with the backup's password unless the operator says so.
func (r *restoring) opensOnlyAsRestored(file string) {
	r.Helper()
	enable := []string{"user", "enable", ana, "--reason", "test", "--database", "sqlite:" + file}
	if status, said := r.command(nil, enable...); status != exitFailed || !strings.Contains(said, "--as-restored") {
		r.Errorf("enable: %d %s", status, said)
	}
	for _, c := range []struct{ do, want string }{{"disable", "disabled_locked"}, {"enable", "locked"}} {
		var now struct{ Account string }
		r.ok(&now, "user", c.do, ana, "--reason", "test", "--database", "sqlite:"+file)
		if now.Account != c.want {
			r.Errorf("after %s it is %s", c.do, now.Account)
		}
	}
	if r.browser().get("/account").submit("identifier", ana, "password", pass).b.isIn() {
		r.Error("she signs in")
	}
	r.ok(nil, "user", "enable", ana, "--as-restored", "--reason", "she was here", "--database", "sqlite:"+file)
	if !r.browser().get("/account").submit("identifier", ana, "password", pass).b.isIn() {
		r.Error("she does not sign in")
	}
}

// A witness that is not there, be it by a mistyped name, never passes for one that knows of nothing.
func TestRestore_AWitnessThatIsMissingIsSaidToBeLost(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	w.must(w.p.signs.Once(t.Context()))
	saved := filepath.Join(w.dir, "saved")
	w.ok(nil, "backup", saved, "--database", "sqlite:"+w.file)
	w.ok(nil, "audit", "export", w.export, "--database", "sqlite:"+w.file)
	file, empty, missing := filepath.Join(w.dir, "new.db"), filepath.Join(w.dir, "empty"), filepath.Join(w.dir, "missing")
	w.ok(nil, "restore", saved, "--database", "sqlite:"+file)
	w.must(os.WriteFile(empty, nil, 0o600))
	for _, other := range []string{empty, missing} {
		args := w.accept(file, w.points+","+other, "--audit", w.export)
		if status, said := w.command(nil, args...); status != exitUsage || !strings.Contains(said, other) || !strings.Contains(said, "--checkpoints-lost") {
			t.Errorf("%s: %d %s", other, status, said)
		}
		if status, said := w.command(nil, append(args, "--checkpoints-lost")...); status != exitUsage || !strings.Contains(said, "--unknown") {
			t.Errorf("%s, lost: %d %s", other, status, said)
		}
	}
	w.ok(nil, w.accept(file, w.points+","+missing, "--audit", w.export, "--checkpoints-lost", "--unknown", "keep")...)
	w.today()
	w.must(w.serve(file, missing)) // it was begun anew
}

func TestRestore_RefusesWhatIsNoBackup(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	saved := filepath.Join(w.dir, "saved")
	w.ok(nil, "backup", saved, "--database", "sqlite:"+w.file)
	whole, err := os.ReadFile(saved)
	w.must(err)
	edited := bytes.Replace(whole, []byte(`"type":"account.created"`), []byte(`"type":"account.creatod"`), 1)
	for name, text := range map[string][]byte{"empty": nil, "text": []byte("hello, this is no database at all"), "cut": whole[:len(whole)/2], "edited": edited} {
		bad, file := filepath.Join(t.TempDir(), "bad"), filepath.Join(t.TempDir(), "new.db")
		w.must(os.WriteFile(bad, text, 0o600))
		if status, said := w.command(nil, "restore", bad, "--database", "sqlite:"+file); status != exitFailed {
			t.Errorf("%s: %d %s", name, status, said)
		}
		if left, _ := filepath.Glob(file + "*"); len(left) > 0 {
			t.Errorf("%s: it leaves %v", name, left)
		}
	}
}

func TestAuditVerify_SaysHowOldTheCopiesOutsideAre(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	w.signedIn(ben)
	w.must(w.p.signs.Once(t.Context()))
	w.ok(nil, "audit", "export", w.export, "--database", "sqlite:"+w.file)
	args := []string{"audit", "verify", "--database", "sqlite:" + w.file, "--issuer", w.issuer, "--kek-file", w.kek, "--checkpoint-file", w.points, "--audit", w.export, "--max-age", "1h"}
	report := func() map[string]outsideReport {
		t.Helper()
		var r struct{ Outside []outsideReport }
		w.ok(&r, args...)
		out := map[string]outsideReport{}
		for _, o := range r.Outside {
			out[o.Copy] = o
		}
		return out
	}
	for what, o := range report() {
		if o.Lacks != 0 || o.Age > 60 {
			t.Errorf("%s: %+v", what, o)
		}
	}
	w.as("machine", "/token", machineForm())
	if got := report(); len(got) != 2 || got["checkpoint"].Lacks == 0 || got["export"].Lacks != got["checkpoint"].Lacks {
		t.Errorf("%+v", got)
	}
	again := filepath.Join(w.dir, "old")
	w.p.checkpoint = again
	seed, err := w.p.ring.Secret("checkpoint")
	w.must(err)
	w.must(w.p.checkpoints(t.Context(), seed))
	w.clock.Advance(-3 * time.Hour)
	w.as("machine", "/token", machineForm())
	w.must(w.p.signs.Once(t.Context()))
	if status, _ := w.command(nil, append(slices.Clone(args), "--checkpoint-file", again)...); status != exitOK {
		t.Errorf("old, and nothing is lacking: status %d", status)
	}
	w.as("machine", "/token", machineForm())
	if status, _ := w.command(nil, append(slices.Clone(args), "--checkpoint-file", again)...); status != exitFailed {
		t.Errorf("old, and something is lacking: status %d", status)
	}
}

// A scope that was taken from an API and a client that was disabled after the copy was made do not come back with it.
func TestRestore_WhatWasTakenFromAPIsAndClientsStaysTaken(t *testing.T) {
	t.Parallel()
	w := newRestoring(t)
	saved, file := filepath.Join(w.dir, "saved"), filepath.Join(w.dir, "new.db")
	w.ok(nil, "backup", saved, "--database", "sqlite:"+w.file)
	w.today()
	_, err := w.admin().UpdateClient(t.Context(), "post", func(c *client.Client) error { c.Disabled = true; return nil }, "operator:test")
	w.must(err)
	_, err = w.admin().UpdateAPI(t.Context(), "cases", func(a *api.API) error {
		a.Scopes = slices.DeleteFunc(slices.Clone(a.Scopes), func(s api.Scope) bool { return s.Name == "cases.read" })
		return nil
	}, "operator:test")
	w.must(err)
	w.must(w.p.signs.Once(t.Context()))
	w.ok(nil, "audit", "export", w.export, "--database", "sqlite:"+w.file)
	w.ok(nil, "restore", saved, "--database", "sqlite:"+file)
	var done struct{ APIs, Clients []string }
	w.ok(&done, w.accept(file, w.points, "--audit", w.export)...)
	if !slices.Equal(done.APIs, []string{"cases"}) || !slices.Equal(done.Clients, []string{"post"}) {
		t.Errorf("%+v", done)
	}
	w.today()
	w.must(w.serve(file, w.points))
	w.wants("a scope that is gone", w.as("machine", "/token", machineForm()), http.StatusBadRequest, "invalid_scope")
	if c, err := w.p.store.Client(t.Context(), "post"); err != nil || !c.Disabled {
		t.Errorf("the client: %+v, %v", c, err)
	}
}
