package witness_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/witness"
)

// A file of checkpoints that is not there, or holds none, is begun where there was none before, and where all replicas begin
// theirs; else it is missed.
func TestStart_AFileOfCheckpointsThatIsGoneIsMissed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := t.TempDir()
	empty, torn, missing := filepath.Join(dir, "empty"), filepath.Join(dir, "torn"), filepath.Join(dir, "missing")
	after := func(by time.Duration, file string) (*witness.Checkpointer, bool, error) {
		c := &witness.Checkpointer{Log: h, Key: h.key, Origin: "id.example.org", File: file, Now: func() time.Time { return h.now.Add(by) }}
		begins, err := c.Start(t.Context(), tell, func() error { h.record("wrt_1", said{}); return nil })
		return c, begins, err
	}
	wants := func(what string, by time.Duration, missed bool) {
		t.Helper()
		_ = os.Remove(missing) // it may have been begun
		h.must(errors.Join(os.WriteFile(empty, nil, 0o600), os.WriteFile(torn, []byte("ellis audit checkpoint v1\nid.exa"), 0o600)))
		for _, file := range []string{empty, torn, missing} {
			_, begins, err := after(by, file)
			if gone := new(witness.Gone); errors.As(err, &gone) != missed || begins == missed || (!missed && err != nil) || (missed && gone.File != file) {
				t.Errorf("%s, %s: %v, begins %v", what, filepath.Base(file), err, begins)
			}
			if _, kept, err := witness.Last(file, h.key); kept == missed || err != nil {
				t.Errorf("%s, %s: signed %v, %v", what, filepath.Base(file), kept, err)
			}
		}
	}
	wants("an empty database", 0, false)
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

// Nothing is recorded where the file cannot be begun: what is recorded is missed later.
func TestBegin_NothingIsRecordedBesideAFileThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := filepath.Join(t.TempDir(), "mount")
	file := filepath.Join(dir, "points")
	c := &witness.Checkpointer{Log: h, Key: h.key, Origin: "id.example.org", File: file, Now: func() time.Time { return h.now }}
	record := func() error { h.record(witness.Role+"_1", said{}); return nil }
	_, err := c.Start(t.Context(), tell, record)
	for what, err := range map[string]error{"a start": err, "begun": c.Begin(t.Context(), record), "looked at": witness.Beginnable(file)} {
		if heads, _ := h.Heads(t.Context()); err == nil || !strings.Contains(err.Error(), "the directory "+dir+" is not there") || len(heads) > 0 {
			t.Errorf("%s: %v, recorded %v", what, err, heads)
		}
	}
	h.must(os.Mkdir(dir, 0o700))
	h.must(witness.Beginnable(file))
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("a look leaves %v, %v", list, err)
	}
	h.must(c.Begin(t.Context(), record))
	h.must(witness.Beginnable(file))
}

// overtaken is a log: when its ends are asked for first, something else happens.
type overtaken struct {
	*house
	by func()
}

func (o *overtaken) Heads(ctx context.Context) ([]chain.Head, error) {
	if by := o.by; by != nil {
		o.by = nil
		by()
	}
	return o.house.Heads(ctx)
}

// Replicas that share a file may be started at the same time.
func TestStart_AReplicaThatSharesTheFileMayBeQuicker(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	record := func() error { h.record(witness.Role+"_1", said{}); return nil }
	of := func(log witness.Log, file string) *witness.Checkpointer {
		return &witness.Checkpointer{Log: log, Key: h.key, Origin: "id.example.org", File: file, Now: func() time.Time { return h.now }}
	}
	file := filepath.Join(t.TempDir(), "points")
	slow := of(&overtaken{h, func() { h.must(of(h, file).Begin(t.Context(), record)) }}, file)
	if begins, err := slow.Start(t.Context(), tell, func() error { t.Error("recorded"); return nil }); begins || err != nil {
		t.Errorf("begins %t, %v", begins, err)
	}
}
