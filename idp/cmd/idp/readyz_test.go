package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/witness"
)

func TestDegraded_NamesTheRelayWhereItIsMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // nobody listens at its relay
	if got := w.p.degraded(t.Context()); len(got) != 0 {
		t.Errorf("degraded before: %v", got)
	}
	q, err := notify.Compose(w.p.sealer, notify.Message{Account: w.people[ana], Template: "password_changed", To: ana, Lang: "en", Subject: "Word", Text: "Word", HTML: "<p>Word</p>"}, w.clock.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.p.store.Commit(t.Context(), unit.Unit{Writes: []unit.Write{q}}); err != nil {
		t.Fatal(err)
	}
	if n, err := w.p.mailer.Once(t.Context()); n != 1 || err != nil {
		t.Fatalf("tried %d: %v", n, err)
	}
	if got := w.p.degraded(t.Context()); !slices.Equal(got, []string{"mail relay"}) {
		t.Errorf("degraded: %v", got)
	}
	rec := httptest.NewRecorder()
	w.p.inner.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/healthz", http.NoBody))
	if rec.Code != http.StatusOK {
		t.Errorf("healthz: %d", rec.Code)
	}
}

// Where export and checkpoints stop, that is said while there is still a database that knows more than they do.
func TestDegraded_NamesTheCopiesOutsideThatStop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newPeople(t, func(s *settings) { s.export, s.checkpoint = filepath.Join(dir, "export"), filepath.Join(dir, "points") })
	tick := func(by time.Duration, works bool) []string {
		t.Helper()
		w.clock.Advance(by)
		for _, o := range []*witness.Outside{w.p.exports, w.p.signs} {
			if err := o.Once(t.Context()); (err == nil) != works {
				t.Fatal(err)
			}
		}
		return w.p.degraded(t.Context())
	}
	if got := tick(time.Hour, true); len(got) != 0 {
		t.Errorf("after they did their work: %v", got)
	}
	w.must(errors.Join(os.Rename(dir, dir+"-away"), os.WriteFile(dir, nil, 0o600))) // a mount that went away
	w.must(w.p.ring.Rotate(t.Context(), "ES256", true))                             // something to sign
	if got := tick(witness.ExportLate, false); len(got) != 0 {
		t.Errorf("not late yet: %v", got)
	}
	if got := tick(time.Second, false); !slices.Equal(got, []string{"audit export"}) {
		t.Errorf("after a minute: %v", got)
	}
	if got := tick(witness.CheckpointLate, false); !slices.Equal(got, []string{"audit export", "audit checkpoints"}) {
		t.Errorf("after three: %v", got)
	}
	rec := httptest.NewRecorder()
	w.p.inner.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	for _, want := range []string{"idp_audit_export_age_seconds 181", "idp_audit_checkpoint_age_seconds 181"} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("no %s", want)
		}
	}
	w.must(errors.Join(os.Remove(dir), os.Rename(dir+"-away", dir)))
	if got := tick(time.Second, true); len(got) != 0 {
		t.Errorf("when they go on: %v", got)
	}
}

func TestOwnJobs_WatchTheCopiesOutside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newPeople(t, func(s *settings) { s.export, s.checkpoint = filepath.Join(dir, "export"), filepath.Join(dir, "points") })
	w.clock.Advance(time.Hour)
	if got := w.p.degraded(t.Context()); !slices.Equal(got, []string{"audit export", "audit checkpoints"}) {
		t.Errorf("before: %v", got)
	}
	for _, j := range w.p.ownJobs() {
		if j.Name == "audit-export" || j.Name == "checkpoint" {
			w.must(j.Do(t.Context()))
		}
	}
	if got := w.p.degraded(t.Context()); len(got) != 0 {
		t.Errorf("after: %v", got)
	}
}
