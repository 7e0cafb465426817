package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/unit"
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
