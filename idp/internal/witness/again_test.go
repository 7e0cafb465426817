package witness_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"ellis.example/idp/internal/witness"
)

// starts looks at the beginning of a process, and fails unless it finds the database set back or not.
func (r *replicas) starts(what string, behind bool) {
	r.Helper()
	c := *r.points[0]
	c.Log = r.book
	_, err := c.Start(r.Context(), tell, nil)
	if is := new(witness.Behind); errors.As(err, &is) != behind || (!behind && err != nil) {
		r.Errorf("%s: %v, want behind %v", what, err, behind)
	}
}

// Who appends an old checkpoint of a file again makes no database pass that was set back to it: no restore, no other one, and
// not several.
func TestStart_AnOldCheckpointThatIsAppendedAgainTakesNothingBack(t *testing.T) {
	t.Parallel()
	for _, writers := range []int{3, 20} { // each has all heads, or those that moved
		r := newReplicasOf(t, writers)
		r.writes("wrt_a")
		r.ticks("it goes on", 0, false)
		r.append(r.accept(1))
		r.starts("accepted", false)
		was := r.clone()
		r.writes("wrt_a")
		r.ticks("it goes on", 0, false)
		r.writes("wrt_a")
		r.ticks("it goes on", 0, false)
		file, last := r.points[0].File, r.book
		honest := parts(t, file)
		for what, again := range map[string][]int{"the restore": {-3}, "it twice": {-3, -3}, "one behind it": {-2}, "both": {-3, -2}, "from the beginning": {0, 1, -3}} {
			text := slices.Clone(honest)
			for _, i := range again {
				text = append(text, honest[(i+len(honest))%len(honest)])
			}
			rewrite(t, file, text)
			r.set(last)
			if _, err := witness.OpenFiles([]string{file}, r.points[0].Key); err == nil {
				r.starts(what+", with all that was signed", false)
			}
			r.set(was)
			r.starts(what, true)
		}
		rewrite(t, file, honest)
		r.set(was)
		r.starts("set back", true)
		r.append(r.accept(2))
		r.starts("accepted again", false)
		r.now = r.now.Add(-time.Hour) // a clock that is set back is no loss
		r.set(r.book)
		r.writes("wrt_a")
		r.points[0].Log = r.book
		c := *r.points[0]
		if err := c.Once(t.Context()); err != nil {
			t.Error(err)
		}
		r.starts("with a clock that was set back", false)
	}
}

// However often old checkpoints are appended again, those before are found: the same one, one after the other for longer than what
// is always looked through, and a long way of the file as it was.
func TestStart_OldCheckpointsThatFillTheEndTakeNothingBack(t *testing.T) {
	t.Parallel()
	r := newReplicasOf(t, 16)
	c := r.points[0]
	var honest [][]byte
	var was book
	const many, lost = 7000, 10
	for i := range many + lost {
		if i == many {
			was = r.clone()
		}
		r.writes("wrt_a")
		heads, _ := r.Heads(t.Context())
		text, err := c.Key.Sign(witness.Checkpoint{Origin: c.Origin, At: r.now.Add(time.Duration(i) * time.Second), Heads: heads})
		if err != nil {
			t.Fatal(err)
		}
		honest = append(honest, text)
	}
	file, last := c.File, r.book
	if size := len(honest[0]) * (many - 100); size <= 9<<20 {
		t.Fatalf("they are no more than %d bytes", size)
	}
	for what, again := range map[string][][]byte{"one": slices.Repeat(honest[many-1:many], 20_000), "a way": honest[100:many]} {
		rewrite(t, file, slices.Concat(honest, again))
		r.set(was)
		r.starts(what, true)
		r.set(last)
		r.starts(what+", with all that was signed", false)
	}
	few := [][]byte{honest[0], honest[many-1], honest[many]} // too few to be told from those behind them by what stands in between
	rewrite(t, file, slices.Concat(few, slices.Repeat(few[1:2], 20_000)))
	r.set(was)
	r.starts("a short file", true)
	rewrite(t, file, honest)
	r.starts("set back", true)
}

// An acceptance by a clock that is behind counts as any other: for a process that runs, at the next start, and in a verification.
func TestSign_AnAcceptanceByAClockThatIsBehindCounts(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	was := r.clone()
	r.writes("wrt_a")
	r.ticks("it goes on", 0, false)
	r.ticks("it goes on", 1, false)
	file, k := r.points[0].File, r.points[0].Key
	sign := func(at time.Time, epoch int64) {
		t.Helper()
		heads, _ := r.Heads(t.Context())
		f, err := witness.OpenFiles([]string{file}, k)
		if err := errors.Join(err, f.Sign(witness.Checkpoint{Origin: r.points[0].Origin, At: at, Heads: heads, Epoch: epoch})); err != nil {
			t.Fatal(err)
		}
	}
	for i, epoch := range []int64{1, 1, 2} { // of the same copy twice, then of what was accepted last
		r.set(was)
		r.ticks("set back", 0, true)
		r.ticks("set back", 1, true)
		r.add(fmt.Sprint("cmd_", i), []byte(`{"type":"epoch.raised"}`))
		r.set(r.book)
		if i > 0 {
			was = r.clone()
		}
		at := r.now.Add(-time.Duration(i+1) * time.Hour)
		sign(at, epoch)
		r.ticks("accepted", 0, false)
		r.ticks("accepted", 1, false)
		r.starts("accepted", false)
		n := len(parts(t, file))
		sign(at, epoch)
		r.writes("wrt_b")
		r.ticks("it goes on", 0, false)
		if sign(at, epoch); len(parts(t, file)) != n+1 {
			t.Error("what is signed is signed again")
		}
		points, err := witness.ReadAll(file, k)
		report, bad := witness.Verify(t.Context(), r.book, points)
		if err = errors.Join(err, bad); err != nil || !report.Whole() || len(report.Restores) != i+1 {
			t.Errorf("%+v, %v", report, err)
		}
		r.ticks("it goes on", 1, false)
	}
}
