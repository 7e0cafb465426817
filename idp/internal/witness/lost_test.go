package witness_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/witness"
)

// said is a record of these tests.
type said struct {
	At    time.Time
	Epoch int64  `json:",omitempty"` // it accepted a restored database
	Knew  bool   `json:",omitempty"`
	Read  string `json:",omitempty"`
}

func tell(r chain.Record) (time.Time, *witness.Acceptance, error) {
	var s said
	if err := json.Unmarshal(r.Body, &s); err != nil || s.Epoch == 0 {
		return s.At, nil, err
	}
	read, _ := witness.ParseMark(s.Read)
	return s.At, &witness.Acceptance{Writer: r.Writer, Seq: r.Seq, Epoch: s.Epoch, At: s.At, Knew: s.Knew, Read: read}, nil
}

// house is a database with its witnesses, whose clock goes on by a second with every record.
type house struct {
	*testing.T
	book
	key           *witness.Key
	points, lines string
	now           time.Time
	accepted      *witness.Acceptance
}

func newHouse(t *testing.T) *house {
	t.Helper()
	key, err := witness.NewKey("id.example.org", make([]byte, 32))
	dir := t.TempDir()
	h := &house{t, book{map[string][]chain.Record{}, map[string]chain.Head{}}, key, filepath.Join(dir, "points"), filepath.Join(dir, "lines"), time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), nil}
	h.must(err)
	return h
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) record(writer string, s said) {
	h.Helper()
	h.now = h.now.Add(time.Second)
	s.At = h.now
	body, err := json.Marshal(s)
	h.must(err)
	h.add(writer, body)
}

// writes records what writers do, and takes it to the witnesses.
func (h *house) writes(writers ...string) {
	h.Helper()
	for _, w := range writers {
		h.record(w, said{})
	}
	h.witnessed()
}

func (h *house) witnessed() {
	h.Helper()
	h.exported()
	heads, _ := h.Heads(h.Context())
	h.sign(witness.Checkpoint{At: h.now, Heads: heads})
}

func (h *house) exported() {
	h.Helper()
	_, err := (&witness.Exporter{Log: h, File: h.lines}).Once(h.Context())
	h.must(err)
}

func (h *house) sign(c witness.Checkpoint) {
	h.Helper()
	text, err := h.key.Sign(c)
	h.must(err)
	h.must(witness.Append(h.points, text))
}

// copied is a copy of the database as it is now.
func (h *house) copied() (book, *witness.Acceptance) { return h.clone(), h.accepted }

// restore puts a copy in place of the database.
func (h *house) restore(b book, accepted *witness.Acceptance) {
	h.book, h.accepted = b.clone(), accepted
}

func (h *house) files(more ...string) witness.Files {
	h.Helper()
	f, err := witness.OpenFiles(append([]string{h.points}, more...), h.key)
	h.must(err)
	return f
}

func (h *house) database() witness.Database {
	d := witness.Database{Accepted: h.accepted, Now: h.now}
	d.Heads, _ = h.Heads(h.Context())
	return d
}

// lost reads what the database lacks, and returns each record's writer.
func (h *house) lost() (writers []string, gap string, l witness.Lost) {
	h.Helper()
	l, err := h.files().ReadLater(h.lines, h.database(), tell)
	h.must(err)
	for _, r := range l.Records {
		writers = append(writers, r.Writer)
	}
	return writers, h.files().Gap(h.database(), l), l
}

// accept accepts the database, as a restore does; signed says whether it comes to that.
func (h *house) accept(command string, knew, signed bool) {
	h.Helper()
	_, _, l := h.lost()
	s := said{Epoch: 1, Knew: knew}
	if h.accepted != nil {
		s.Epoch += h.accepted.Epoch
	}
	if knew {
		s.Read = l.Read.String()
	}
	h.record(command, s)
	rows := h.rows[command]
	_, h.accepted, _ = tell(rows[len(rows)-1])
	if heads, _ := h.Heads(h.Context()); signed {
		h.must(h.files().Sign(witness.Checkpoint{At: h.now, Heads: heads, Epoch: s.Epoch}))
	}
}

// wants demands what is lost, and why nobody can say that this is all ("": it is).
func (h *house) wants(what, gap string, writers ...string) {
	h.Helper()
	got, why, _ := h.lost()
	if !slices.Equal(got, writers) {
		h.Errorf("%s: records of %v are lost, want %v", what, got, writers)
	}
	if (gap == "") != (why == "") || !strings.Contains(why, gap) {
		h.Errorf("%s: %q, want %q", what, why, gap)
	}
}

// A restore that is lost itself knew things that the next one has to know, too.
func TestReadLater_ALostAcceptanceIsAGapUnlessTheExportHasWhatItRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		knew, fresh bool
		gap         string
	}{
		"the same export":                    {knew: true},
		"another export":                     {knew: true, fresh: true, gap: "not the one that it read"},
		"somebody chose":                     {gap: "did not know all"},
		"somebody chose, and another export": {fresh: true, gap: "did not know all"},
	} {
		h := newHouse(t)
		h.writes("srv_a")
		b, none := h.copied()
		h.writes("srv_a", "srv_b")
		h.restore(b, none)
		h.accept("cmd_1", c.knew, true)
		if c.fresh {
			h.lines += "2"
		}
		h.writes("srv_c")
		h.restore(b, none)
		want := []string{"srv_a", "srv_b", "cmd_1", "srv_c"}
		if c.fresh {
			want = want[2:]
		}
		h.wants(name, c.gap, want...)
	}
}

// What a restore accepted as lost is no part of the past of a database that holds this.
func TestReadLater_WhatWasAcceptedAsLostIsNotLostAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.writes("srv_a")
	b, none := h.copied()
	h.writes("srv_a", "srv_b")
	h.restore(b, none)
	h.accept("cmd_1", false, true)
	before, holds := h.copied()
	h.wants("the acceptance is not exported", "")
	h.writes("srv_c")
	newer, _ := h.copied()
	h.writes("srv_c", "srv_d")
	h.restore(newer, holds)
	h.wants("a newer copy", "", "srv_c", "srv_d")
	h.accept("cmd_2", true, true)
	h.writes("srv_e")
	h.restore(before, holds)
	h.wants("an older one", "", "srv_c", "srv_c", "srv_d", "cmd_2", "srv_e")
}

// A record that stands before the acceptance, in an export that was begun later, counts as missing where it was signed.
func TestReadLater_WhatIsPassedOverIsMissedWhereItWasSigned(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.writes("srv_a")
	h.accept("srv_z", true, true)
	saved, holds := h.copied()
	h.lines += "2"
	h.record("srv_n", said{})
	h.witnessed() // which stands before srv_z
	h.restore(saved, holds)
	h.wants("before the acceptance", "the export of writer srv_n ends at 0")
}

// A checkpoint that does not know of an acceptance was signed before it, or where that was lost.
func TestReadLater_WhatWasSignedWithoutAnAcceptanceMayBeOfAnotherPast(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.writes("srv_a")
	b, none := h.copied()
	h.accept("cmd_1", true, true)
	h.exported()
	first, holds := h.copied()
	h.restore(b, none)
	h.accept("cmd_2", true, true)
	heads, _ := h.Heads(t.Context())
	h.sign(witness.Checkpoint{At: h.now, Heads: heads})
	h.restore(first, holds)
	h.wants("a later one, of another past", "the export of writer cmd_2 ends at 0")
	heads, _ = h.Heads(t.Context())
	h.points += "2"
	h.sign(witness.Checkpoint{At: holds.At.Add(-time.Hour), Heads: append(heads, chain.Head{Writer: "srv_c", Seq: 1})})
	h.wants("a later one, by a clock that was set back", "the export of writer srv_c ends at 0")
}

// Neither a restore nor a time is taken from what an acceptance threw away.
func TestReadLater_NothingOfWhatWasThrownAwayCounts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.writes("srv_a")
	b, none := h.copied()
	h.accept("cmd_1", false, true)
	now := h.now
	h.now = now.Add(witness.Patience / 2) // its clock is ahead
	h.writes("srv_b")
	h.now = now
	h.restore(b, none)
	h.accept("cmd_2", false, true)
	accepted := h.now
	h.exported()
	h.wants("a restore that was thrown away", "")
	if _, _, l := h.lost(); !l.Until.Equal(accepted) {
		t.Errorf("known until %v, want %v", l.Until, accepted)
	}
}

func TestReadLater_AnExportOfAnotherDatabaseIsNotBelieved(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.record("srv_a", said{})
	h.exported()
	h.rows["srv_a"][0].Body = []byte(`{}`)
	h.rehash("srv_a", 0)
	_, err := h.files().ReadLater(h.lines, h.database(), tell)
	var broken *chain.Broken
	if !errors.As(err, &broken) || broken.Writer != "srv_a" || !strings.Contains(broken.Why, "another database") {
		t.Error(err)
	}
}

// An export that was written anew, each hash fitting, is not believed against what was signed.
func TestReadLater_ARewrittenExportIsNotBelieved(t *testing.T) {
	t.Parallel()
	for i := range 3 {
		h := newHouse(t)
		for range 3 {
			h.writes("srv_a", "srv_b")
		}
		forged := h.clone()
		forged.rows["srv_b"][i].Body = bytes.Replace(forged.rows["srv_b"][i].Body, []byte(`{`), []byte(`{"Knew":true,`), 1)
		forged.rehash("srv_b", i)
		h.must(os.Remove(h.lines))
		_, err := (&witness.Exporter{Log: forged, File: h.lines}).Once(t.Context())
		h.must(err)
		h.restore(book{map[string][]chain.Record{}, map[string]chain.Head{}}, nil)
		_, err = h.files().ReadLater(h.lines, h.database(), tell)
		var broken *chain.Broken
		if !errors.As(err, &broken) || broken.Writer != "srv_b" || broken.Seq != int64(i+1) {
			t.Errorf("record %d: %v", i+1, err)
		}
	}
}

// A restore that ended before it had signed everywhere is only signed when it is run again, if nothing was lost since.
func TestFiles_AnAcceptanceThatIsNotSignedIsToldFromALoss(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	other := h.points + "2"
	h.writes("srv_a")
	b, none := h.copied()
	h.writes("srv_a")
	text, err := os.ReadFile(h.points)
	h.must(err)
	late := h.points + "4"
	h.must(errors.Join(os.WriteFile(other, text, 0o600), os.WriteFile(late, text, 0o600)))
	unsigned := func(more ...string) bool {
		t.Helper()
		is, err := h.files(more...).Unsigned(t.Context(), h, h.database())
		h.must(err)
		return is
	}
	h.restore(b, none)
	if unsigned() {
		t.Error("nobody accepted it")
	}
	h.accept("cmd_1", true, false)
	if !unsigned() || h.files().Behind(h.database()) != 0 {
		t.Error("accepted, and not signed at all")
	}
	h.wants("accepted, and not signed", "")
	heads, _ := h.Heads(t.Context())
	point := witness.Checkpoint{At: h.now, Heads: heads, Epoch: 1}
	h.sign(point)
	if unsigned() || !unsigned(other) || unsigned(other, h.points+"3") {
		t.Error("signed in the first file, not in the second, and the third is lost")
	}
	h.must(h.files(other).Sign(point))
	for _, file := range []string{h.points, other} {
		points, err := witness.ReadAll(file, h.key)
		if err != nil || len(points) != 3 || points[2].Epoch != 1 {
			t.Errorf("%s: %d checkpoints, %v", file, len(points), err)
		}
	}
	saved, holds := h.copied()
	if !unsigned(late) {
		t.Error("not signed in the last file")
	}
	h.writes("srv_c")
	if !unsigned(late) {
		t.Error("it went on, and has all")
	}
	h.restore(saved, holds)
	if unsigned(late) {
		t.Error("something was lost since")
	}
	h.record("srv_c", said{Knew: true})
	if unsigned(late) {
		t.Error("it went another way since")
	}
}

// Witnesses that both stopped are as whole as those that went on.
func TestLost_SaysWhenTheWitnessesMayHaveStopped(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.writes("srv_a", "srv_b")
	until := h.now
	h.now = h.now.Add(time.Hour)
	h.record("srv_future", said{})
	h.exported()
	h.now = until
	empty := book{map[string][]chain.Record{}, map[string]chain.Head{}}
	h.restore(empty, nil)
	_, _, l := h.lost()
	if !l.Until.Equal(until) {
		t.Errorf("known until %v, want %v", l.Until, until)
	}
	if why := l.Stopped(until.Add(witness.Patience)); why != "" {
		t.Error(why)
	}
	if why := l.Stopped(until.Add(witness.Patience + time.Second)); !strings.Contains(why, "ends at 2026-11-02T09:00:02Z") {
		t.Errorf("they may have stopped: %q", why)
	}
	d := h.database()
	d.Last = until.Add(time.Minute)
	if l, err := h.files().ReadLater(h.lines, d, tell); err != nil || !l.Until.Equal(d.Last) {
		t.Errorf("the database knows more: %v, %v", l.Until, err)
	}
	d.Last = until.Add(time.Hour)
	if l, err := h.files().ReadLater(h.lines, d, tell); err != nil || !l.Until.Equal(until) {
		t.Errorf("the database's clock was ahead: %v, %v", l.Until, err)
	}
}

func TestMark_IsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	m := witness.Mark{Bytes: 12, Sum: chain.Hash{1, 31: 2}}
	if got, ok := witness.ParseMark(m.String()); !ok || got != m {
		t.Errorf("%v %v", got, ok)
	}
	for _, bad := range []string{"", "12", "12:", ":" + strings.Repeat("00", 32), "-1:" + strings.Repeat("00", 32), "1:" + strings.Repeat("00", 31), "1:" + strings.Repeat("0g", 32)} {
		if got, ok := witness.ParseMark(bad); ok || got != (witness.Mark{}) || got.String() != "" {
			t.Errorf("%q: %v", bad, got)
		}
	}
}
