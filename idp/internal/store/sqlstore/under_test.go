package sqlstore

import (
	"path/filepath"
	"testing"
	"time"

	"ellis.example/idp/internal/unit"
)

// The condition of a store holds for a unit that is one event, too.
func TestUnder_HoldsForAnEventByItself(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "idp.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	once := s.Under(func() unit.Write {
		return unit.Spend{Kind: "test", Key: unit.Key("once"), Until: time.Now().Add(time.Hour)}
	})
	for i, want := range []bool{false, true} {
		if err := once.Commit(t.Context(), event(i)); unit.IsConflict(err) != want || (err != nil) != want {
			t.Errorf("commit %d: %v", i+1, err)
		}
	}
	events, err := s.LatestEvents(t.Context(), 10)
	if err != nil || len(events) != 1 {
		t.Errorf("%d events, %v", len(events), err)
	}
}
