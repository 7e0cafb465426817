package main

import (
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/sqldb/pgtest"
)

// newRestoringOn is newRestoring over a PostgreSQL server of its own.
func newRestoringOn(t *testing.T, dsn string) *restoring {
	t.Helper()
	dir := t.TempDir()
	w := &world{T: t, template: template{secrets: map[string]string{}, people: map[string]string{}}, clock: clock.NewFake(epoch), log: &logBuffer{}, public: &atomic.Pointer[http.Handler]{}}
	r := &restoring{peopleWorld: &peopleWorld{w, newPeopleBox(t)}, dir: dir, kek: filepath.Join(dir, "kek"), points: filepath.Join(dir, "points"), export: filepath.Join(dir, "export")}
	r.today()
	r.must(os.WriteFile(r.kek, []byte(hex.EncodeToString(testKEK)), 0o600))
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) { (*w.public.Load()).ServeHTTP(rw, req) }))
	t.Cleanup(srv.Close)
	w.issuer = srv.URL
	w.http = &http.Client{Transport: srv.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	relay, err := notify.NewRelay("smtp://"+r.box.addr, "Ellis <no-reply@example.org>")
	r.must(err)
	r.must(r.serveFrom(dsn, r.points, relay))
	r.must(w.template.fill(t.Context(), w.p))
	return r
}

// serveFrom lets a provider over a database answer.
func (r *restoring) serveFrom(dsn, points string, relay *notify.Relay) error {
	s, err := testSettings(r.issuer, "", r.clock, slog.New(slog.DiscardHandler))
	r.must(err)
	s.database, s.checkpoint, s.relay = dsn, points, relay
	p, err := assemble(r.Context(), s)
	if err != nil {
		return err
	}
	r.Cleanup(func() { _ = p.close() }) // the test's end
	r.p = p
	r.public.Store(&p.public)
	return nil
}

// A PostgreSQL server that was restored to a point in time is like any other copy: not served before it is accepted.
func TestFault_F11_PointInTimeRecoveryIsAccepted(t *testing.T) {
	t.Parallel()
	first, err := pgtest.Start(pgtest.Archiving...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Stop() }) // the test's end
	if err := first.Create(t.Context(), "idp"); err != nil {
		t.Fatal(err)
	}
	w := newRestoringOn(t, first.DSN("idp"))
	if status, said := w.command(nil, "backup", filepath.Join(w.dir, "copy"), "--database", first.DSN("idp")); status != exitFailed || !strings.Contains(said, "pg_basebackup") {
		t.Errorf("idp backup: %d %s", status, said)
	}
	base, err := first.BaseBackup()
	w.must(err)
	b := w.signedIn(ben)
	old := w.tokensIn(b, "web")
	w.must(first.Mark(t.Context(), "here"))
	next := w.refresh("web", old.str("refresh_token"))
	w.wants("the refresh", next, http.StatusOK, "")
	w.signedIn(ana).get("/account/password").submit("current_password", pass, "new_password", "another lamp on that jetty")
	w.must(w.p.signs.Once(t.Context()))
	w.ok(nil, "audit", "export", w.export, "--database", first.DSN("idp"))
	w.must(first.Mark(t.Context(), "lost"))
	w.must(w.p.close())
	w.must(first.Halt())
	second, err := first.RecoverTo(base, "here")
	w.must(err)
	t.Cleanup(func() { _ = second.Stop() })
	w.recovered(second.DSN("idp"))
	if b.isIn() {
		t.Error("a session came back")
	}
	for _, token := range []string{old.str("refresh_token"), next.str("refresh_token")} {
		w.wants("a refresh token", w.refresh("web", token), http.StatusBadRequest, "invalid_grant")
	}
	if p := w.browser().get("/account").submit("identifier", ana, "password", pass); p.b.isIn() {
		t.Error("a password that was changed came back")
	}
}

// recovered accepts a recovered server and serves it.
func (r *restoring) recovered(dsn string) {
	r.Helper()
	relay := r.p.relay
	if err := r.serveFrom(dsn, r.points, relay); err == nil || !strings.Contains(err.Error(), "idp restore --accept") {
		r.Fatalf("served without being accepted: %v", err)
	}
	args := []string{"restore", "--accept", "--database", dsn, "--issuer", r.issuer, "--kek-file", r.kek, "--checkpoint-file", r.points}
	if status, said := r.command(nil, args...); status != exitUsage || !strings.Contains(said, "--unknown") {
		r.Errorf("without an export: %d %s", status, said)
	}
	var done struct{ Locked []string }
	r.ok(&done, append(args, "--audit", r.export)...)
	if len(done.Locked) != 1 || done.Locked[0] != r.people[ana] {
		r.Errorf("locked %v", done.Locked)
	}
	r.today()
	r.must(r.serveFrom(dsn, r.points, relay))
	r.ok(nil, "audit", "verify", "--database", dsn, "--issuer", r.issuer, "--kek-file", r.kek, "--checkpoint-file", r.points)
}
