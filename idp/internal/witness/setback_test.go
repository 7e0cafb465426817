package witness_test

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/witness"
)

// replicas are two processes that share a file, and what their stores were told.
type replicas struct {
	*testing.T
	book
	points [2]*witness.Checkpointer
	halted [2]bool
	now    time.Time
}

func newReplicas(t *testing.T) *replicas {
	t.Helper()
	return newReplicasOf(t, 20)
}

// newReplicasOf has a record of so many writers.
func newReplicasOf(t *testing.T, writers int) *replicas {
	t.Helper()
	b, c := crowd(t, writers)
	r := &replicas{T: t, book: b, now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	for i := range r.points {
		r.points[i] = &witness.Checkpointer{
			Log: b, Key: c.Key, Origin: c.Origin, File: c.File, Now: func() time.Time { return r.now },
			SetBack: func() { r.halted[i] = true }, Accepted: func() { r.halted[i] = false },
		}
	}
	r.ticks("a first look at the file", 0, false)
	r.ticks("a first look at the file", 1, false)
	return r
}

// ticks lets a process look, a second later, and fails unless it is halted then or not.
func (r *replicas) ticks(what string, i int, halted bool) {
	r.Helper()
	r.now = r.now.Add(time.Second)
	if err := r.points[i].Once(r.Context()); errors.Is(err, witness.ErrSetBack) != halted || (!halted && err != nil) || r.halted[i] != halted {
		r.Errorf("%s: %v, halted %v, want %v", what, err, r.halted[i], halted)
	}
}

func (r *replicas) writes(writer string) { r.add(writer, []byte(`{"type":"token.issued"}`)) }

// set puts another state in place of the database.
func (r *replicas) set(b book) {
	r.book = b.clone()
	for _, c := range r.points {
		c.Log = r.book
	}
}

// accept accepts the database as it is, and returns what signs that.
func (r *replicas) accept(epoch int64) (text []byte) {
	r.Helper()
	r.now = r.now.Add(time.Second)
	r.add("cmd_restore", []byte(`{"type":"epoch.raised"}`))
	heads, _ := r.Heads(r.Context())
	text, err := r.points[0].Key.Sign(witness.Checkpoint{Origin: r.points[0].Origin, At: r.now, Heads: heads, Epoch: epoch})
	if err != nil {
		r.Fatal(err)
	}
	return text
}

func (r *replicas) append(text []byte) {
	r.Helper()
	if err := witness.Append(r.points[0].File, text); err != nil {
		r.Fatal(err)
	}
}

// The one that looks first goes on signing behind the acceptance; the other finds it nevertheless.
func TestCheckpointer_BothThatShareAFileGoOnAfterARestore(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	was := r.clone()
	r.writes("wrt_a")
	r.ticks("it goes on", 0, false)
	r.ticks("it goes on", 1, false)
	r.set(was)
	r.ticks("set back", 0, true)
	r.ticks("set back", 1, true)
	signed := r.accept(1)
	r.ticks("accepted, and not signed", 0, true)
	r.append(signed)
	for range 3 {
		r.writes("wrt_a2")
		r.ticks("accepted", 0, false)
	}
	r.ticks("accepted, and others went on", 1, false)
	r.writes("wrt_b2")
	r.ticks("it goes on", 1, false)
	covers(t, r.book, r.points[1])
}

// What another process signed is as good a reason to halt as what this one did, and ends as that does.
func TestCheckpointer_HaltsUntilWhatAnotherSignedIsAcceptedOrBack(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	old := r.accept(1)
	r.append(old)
	r.ticks("an acceptance with nothing lost", 0, false)
	r.ticks("an acceptance with nothing lost", 1, false)
	was := r.clone()
	r.writes("wrt_a")
	r.ticks("it goes on", 0, false)
	full := r.clone()
	r.set(was)
	r.ticks("set back", 1, true)
	r.append(old)
	r.ticks("an old acceptance is there again", 1, true)
	r.set(full)
	r.ticks("everything is back", 1, false)
	r.set(was)
	r.ticks("set back", 1, true)
	r.append(r.accept(2))
	r.ticks("accepted", 1, false)
	r.ticks("accepted", 0, false)
}

// An acceptance counts once: what is lost later it does not accept, wherever it is appended again.
func TestCheckpointer_AnAcceptanceCountsOnce(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	r.writes("wrt_a")
	r.ticks("it goes on", 0, false)
	r.ticks("it goes on", 1, false)
	text := r.accept(1)
	r.append(text)
	was := r.clone()
	r.now = r.now.Add(-time.Minute) // this one's clock is behind
	for i := range r.points {
		r.writes("wrt_a")
		r.ticks("it goes on", i, false)
	}
	r.set(was)
	r.append(text)
	r.append(text)
	r.ticks("set back behind the acceptance", 0, true)
	r.ticks("set back behind the acceptance", 1, true)
	r.now = r.now.Add(time.Hour)
	r.append(r.accept(2))
	r.ticks("accepted", 1, false)
	r.ticks("accepted", 0, false)
}

// A file stays readable, whatever stands in the database.
func TestCheckpointer_WritesNothingThatItCannotReadBack(t *testing.T) {
	t.Parallel()
	b, c := crowd(t, 3)
	sign(t, b, c, 1)
	was, err := os.ReadFile(c.File)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []chain.Head{{Writer: "wrt_none"}, {Writer: "wrt a", Seq: 1}, {Writer: "wrt\na", Seq: 1}} {
		b.heads[bad.Writer] = bad
		b.add("wrt_serve", []byte(`{}`))
		if err := c.Once(t.Context()); err == nil {
			t.Errorf("%+v is signed", bad)
		}
		if now, err := os.ReadFile(c.File); err != nil || !bytes.Equal(now, was) {
			t.Errorf("%+v: %v, %d bytes were written", bad, err, len(now)-len(was))
		}
		delete(b.heads, bad.Writer)
	}
	sign(t, b, c, 1)
	covers(t, b, c)
}

// A restore that was appended again takes nothing back that was signed since.
func TestVerify_ARestoreCountsOnce(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	file, k := r.points[0].File, r.points[0].Key
	r.writes("wrt_a")
	r.ticks("it goes on", 0, false)
	text := r.accept(1)
	r.append(text)
	r.append(text) // at once: signed twice
	was := r.clone()
	read := func(what string, restores int, lost int64, broken bool) {
		t.Helper()
		points, err := witness.ReadAll(file, k)
		if err != nil {
			t.Fatal(err)
		}
		report, err := witness.Verify(t.Context(), r.book, points)
		if err != nil || len(report.Restores) != restores || report.Whole() == broken {
			t.Errorf("%s: %+v, %v", what, report, err)
		}
		f, err := witness.OpenFiles([]string{file}, k)
		heads, _ := r.Heads(t.Context())
		if n := f.Behind(witness.Database{Heads: heads}); err != nil || n != lost {
			t.Errorf("%s: %d records are missing, want %d; %v", what, n, lost, err)
		}
	}
	read("accepted", 1, 0, false)
	restore, _, err := witness.Last(file, k)
	f, bad := witness.OpenFiles([]string{file}, k)
	n := len(parts(t, file))
	if err := errors.Join(err, bad, f.Sign(restore)); err != nil || len(parts(t, file)) != n {
		t.Errorf("what is signed is signed again: %v", err)
	}
	for range 2 {
		r.writes("wrt_a")
	}
	r.ticks("it goes on", 0, false)
	full := r.clone()
	r.append(text)
	read("appended again", 1, 0, false)
	r.set(was)
	read("appended again, and set back", 1, 2, true)
	points, err := witness.ReadAll(file, k)
	covered := witness.Checkpoint{Heads: witness.Covered(points)}
	if n := covered.Lost(nil); err != nil || n != sum(full) {
		t.Errorf("it covers %d of %d records, %v", n, sum(full), err)
	}
	points = append(points, restore) // from wherever they were read
	if report, err := witness.Verify(t.Context(), r.book, points); err != nil || report.Whole() || len(report.Restores) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	r.append(r.accept(1)) // of an older copy: its epoch has the same number
	read("a later one", 2, 0, false)
}

// sum is how many records there are.
func sum(b book) (n int64) {
	for _, h := range b.heads {
		n += h.Seq
	}
	return n
}
