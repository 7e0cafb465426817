package witness_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ellis.example/idp/internal/witness"
)

// A file of checkpoints that is not there, or holds none, is begun where there was none before, and where all replicas begin
// theirs; else it is missed.
func TestStart_AFileOfCheckpointsThatIsGoneIsMissed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := t.TempDir()
	empty, torn := filepath.Join(dir, "empty"), filepath.Join(dir, "torn")
	h.must(errors.Join(os.WriteFile(empty, nil, 0o600), os.WriteFile(torn, []byte("ellis audit checkpoint v1\nid.exa"), 0o600)))
	after := func(by time.Duration, file string) (*witness.Checkpointer, bool, error) {
		c := &witness.Checkpointer{Log: h, Key: h.key, Origin: "id.example.org", File: file, Now: func() time.Time { return h.now.Add(by) }}
		begins, err := c.Start(t.Context(), tell)
		return c, begins, err
	}
	wants := func(what string, by time.Duration, missed bool) {
		t.Helper()
		for _, file := range []string{empty, torn, filepath.Join(dir, "missing")} {
			_, begins, err := after(by, file)
			if gone := new(witness.Gone); errors.As(err, &gone) != missed || begins == missed || (!missed && err != nil) || (missed && gone.File != file) {
				t.Errorf("%s, %s: %v, begins %v", what, filepath.Base(file), err, begins)
			}
		}
	}
	wants("an empty database", 0, false)
	h.record("wrt_1", said{})
	wants("one of which nobody kept checkpoints", 1000*time.Hour, false)
	h.record(witness.Role+"_1", said{})
	wants("a replica started with the first", witness.Together, false)
	wants("a file that is lost", witness.Together+time.Second, true)
	wants("a clock that is far behind", -witness.Together-time.Second, true)
	h.now = h.now.Add(10 * time.Hour)
	h.record(witness.Role+"_0", said{})
	wants("one that is lost since another replica came", 0, true)

	lost := errors.New("not recorded")
	c, _, _ := after(0, empty)
	if err := c.Begin(t.Context(), func() error { return lost }); !errors.Is(err, lost) {
		t.Errorf("begun without a record: %v", err)
	}
	wants("one that was not begun", 0, true)
	h.must(c.Begin(t.Context(), func() error { h.record("wrt_2", said{}); return nil }))
	if _, begins, err := after(0, empty); begins || err != nil {
		t.Errorf("once it is begun: %v, %v", begins, err)
	}
	if err := c.Begin(t.Context(), func() error { t.Error("recorded"); return nil }); !errors.Is(err, witness.ErrHolds) {
		t.Errorf("begun once more: %v", err)
	}
	if covered, _, err := witness.Last(empty, h.key); err != nil || len(covered.Heads) != 4 {
		t.Errorf("it covers %v, %v", covered.Heads, err)
	}
}
