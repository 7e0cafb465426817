package witness_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/witness"
)

// book is a log in memory that anybody may write into.
type book struct {
	rows  map[string][]chain.Record
	heads map[string]chain.Head
}

func (b book) Heads(context.Context) (out []chain.Head, err error) {
	for _, w := range slices.Sorted(maps.Keys(b.heads)) {
		out = append(out, b.heads[w])
	}
	return out, nil
}

func (b book) Walk(_ context.Context, writer string, after int64, f func(chain.Record) error) error {
	for _, r := range b.rows[writer] {
		if r.Seq > after {
			if err := f(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b book) clone() book {
	out := book{map[string][]chain.Record{}, maps.Clone(b.heads)}
	for w, rows := range b.rows {
		out.rows[w] = slices.Clone(rows)
	}
	return out
}

// add appends an event as its writer would.
func (b book) add(writer string, body []byte) {
	at := b.heads[writer]
	at.Writer = writer
	r, next := chain.Next(at, body)
	b.rows[writer], b.heads[writer] = append(b.rows[writer], r), next
}

// rehash gives the rows from one on the hashes that fit them, and the head too.
func (b book) rehash(writer string, from int) {
	at := chain.Head{Writer: writer}
	if from > 0 {
		at.Seq, at.Hash = b.rows[writer][from-1].Seq, b.rows[writer][from-1].Hash
	}
	for i := from; i < len(b.rows[writer]); i++ {
		b.rows[writer][i], at = chain.Next(at, b.rows[writer][i].Body)
	}
	b.heads[writer] = at
}

const (
	rows     = 240
	everyRow = 40 // between checkpoints
)

// written is a clean record of three writers with its checkpoints.
func written(t *testing.T) (book, []witness.Checkpoint) {
	t.Helper()
	b := book{map[string][]chain.Record{}, map[string]chain.Head{}}
	var points []witness.Checkpoint
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for i := range rows {
		for _, w := range []string{"wrt_a", "wrt_b", "wrt_c"} {
			b.add(w, fmt.Appendf(nil, `{"type":"session.started","outcome":"allowed","at":%q,"actor":"acc_%s%d"}`, at.Add(time.Duration(i)*time.Second).Format(time.RFC3339), w, i))
		}
		if (i+1)%everyRow == 0 {
			heads, _ := b.Heads(t.Context())
			points = append(points, witness.Checkpoint{At: at, Heads: heads})
		}
	}
	return b, points
}

// dice fall the same way for the same seed.
type dice struct{ seed, n uint64 }

func (d *dice) IntN(n int) int {
	d.n++
	h := sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, d.seed), d.n))
	return int(binary.BigEndian.Uint64(h[:]) % uint64(n))
}

// mutation changes a record at row k and returns the number that is bad first, as far as anybody can tell.
type mutation func(b book, w string, k int, r *dice) int64

func edit(body []byte, r *dice) []byte {
	body = bytes.Clone(body)
	body[r.IntN(len(body))] ^= 1 << r.IntN(8)
	return body
}

// signed is the number of the first checkpoint at or after row k.
func signed(k int) int64 { return int64((k/everyRow + 1) * everyRow) }

var mutations = map[string]mutation{
	"flip a bit of a body": func(b book, w string, k int, r *dice) int64 {
		b.rows[w][k].Body = edit(b.rows[w][k].Body, r)
		return int64(k + 1)
	},
	"flip a bit of a hash": func(b book, w string, k int, r *dice) int64 {
		b.rows[w][k].Hash[r.IntN(32)] ^= 1 << r.IntN(8)
		return int64(k + 1)
	},
	"edit who did it": func(b book, w string, k int, _ *dice) int64 {
		b.rows[w][k].Body = bytes.Replace(b.rows[w][k].Body, []byte("acc_"), []byte("acc-"), 1)
		return int64(k + 1)
	},
	"edit when": func(b book, w string, k int, _ *dice) int64 {
		b.rows[w][k].Body = bytes.Replace(b.rows[w][k].Body, []byte("2026"), []byte("2025"), 1)
		return int64(k + 1)
	},
	"delete": func(b book, w string, k int, _ *dice) int64 {
		b.rows[w] = slices.Delete(b.rows[w], k, k+1)
		return int64(k + 1)
	},
	"insert": func(b book, w string, k int, r *dice) int64 {
		x := b.rows[w][k]
		x.Body = edit(x.Body, r)
		b.rows[w] = slices.Insert(b.rows[w], k, x)
		return int64(k + 1)
	},
	"swap": func(b book, w string, k int, _ *dice) int64 {
		k = min(k, rows-2)
		b.rows[w][k].Body, b.rows[w][k+1].Body = b.rows[w][k+1].Body, b.rows[w][k].Body
		return int64(k + 1)
	},
	"duplicate": func(b book, w string, k int, _ *dice) int64 {
		b.rows[w] = slices.Insert(b.rows[w], k, b.rows[w][k])
		return int64(k + 2)
	},
	"hash the tail again": func(b book, w string, k int, r *dice) int64 {
		b.rows[w][k].Body = edit(b.rows[w][k].Body, r)
		b.rehash(w, k)
		return signed(k)
	},
	"hash everything again": func(b book, w string, _ int, r *dice) int64 {
		b.rows[w][0].Body = edit(b.rows[w][0].Body, r)
		b.rehash(w, 0)
		return signed(0)
	},
	"cut the tail, and its head": func(b book, w string, k int, _ *dice) int64 {
		b.rows[w] = b.rows[w][:k]
		b.rehash(w, k)
		return int64(k + 1)
	},
	"cut the tail, and not its head": func(b book, w string, k int, _ *dice) int64 {
		b.rows[w] = b.rows[w][:k]
		return int64(k + 1)
	},
	"take a writer away": func(b book, w string, _ int, _ *dice) int64 {
		delete(b.rows, w)
		delete(b.heads, w)
		return 1
	},
	"fork": func(b book, w string, k int, r *dice) int64 {
		k = min(k, rows-2)
		at := chain.Head{Writer: w}
		if k > 0 {
			at.Seq, at.Hash = b.rows[w][k-1].Seq, b.rows[w][k-1].Hash
		}
		b.rows[w][k], _ = chain.Next(at, edit(b.rows[w][k].Body, r))
		if (k+1)%everyRow == 0 {
			return int64(k + 1) // a checkpoint knows it
		}
		return int64(k + 2)
	},
}

const (
	finished = 18 // writers: more than a checkpoint repeats
	ended    = "old_"
)

// longWritten is a record whose checkpoints are those of a file: many writers came to their end, and three go on.
func longWritten(t *testing.T) (book, []witness.Checkpoint) {
	t.Helper()
	b := book{map[string][]chain.Record{}, map[string]chain.Head{}}
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	file, k := filepath.Join(t.TempDir(), "points"), key(t)
	c := &witness.Checkpointer{Log: b, Key: k, Origin: "here", File: file, Now: func() time.Time { return at }}
	sign := func(writers ...string) {
		t.Helper()
		for range everyRow {
			for _, w := range writers {
				b.add(w, fmt.Appendf(nil, `{"type":"session.started","at":"2026-11-02","actor":"acc_%s%d"}`, w, len(b.rows[w])))
			}
		}
		if err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range finished {
		sign(fmt.Sprintf("%s%02d", ended, i))
	}
	for range rows / everyRow {
		sign("wrt_a", "wrt_b", "wrt_c")
	}
	points, err := witness.ReadAll(file, k)
	if err != nil || len(points) != finished+rows/everyRow {
		t.Fatal(len(points), err)
	}
	if n := len(points[len(points)-1].Heads); n != 3 {
		t.Fatalf("the last one lists %d heads: nothing is tried of what it does not list", n)
	}
	return b, points
}

func TestFault_F13_EveryChangeOfTheRecordIsFoundWithItsFirstBadNumber(t *testing.T) {
	t.Parallel()
	const seed, each = 20261128, 40
	r := &dice{seed: seed}
	clean, points := written(t)
	long, kept := longWritten(t)
	for _, name := range slices.Sorted(maps.Keys(mutations)) {
		for n := range each {
			b, all, w, k := clean.clone(), points, []string{"wrt_a", "wrt_b", "wrt_c"}[r.IntN(3)], r.IntN(rows)
			if n%2 == 1 {
				b, all = long.clone(), kept
			}
			if n%4 == 1 {
				w, k = fmt.Sprintf("%s%02d", ended, r.IntN(finished)), r.IntN(everyRow-1)
			}
			want := mutations[name](b, w, k, r)
			got, err := witness.Verify(t.Context(), b, all)
			if err != nil {
				t.Fatal(err)
			}
			if got.Whole() || got.Broken[0].Writer != w || got.Broken[0].Seq != want || len(got.Broken) != 1 {
				t.Errorf("%s, round %d, writer %s, row %d: %v, want the first bad one at %d (seed %d)", name, n, w, k, got.Broken, want, seed)
			}
		}
	}
}

func TestFault_F13_ACleanRecordRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	clean, points := written(t)
	for i := range points {
		for j := i; j < len(points); j++ { // any two checkpoints are consistent with each other
			r, err := witness.Verify(t.Context(), clean, []witness.Checkpoint{points[i], points[j]})
			if err != nil || !r.Whole() || r.Events != 3*rows {
				t.Fatalf("%d and %d: %+v, %v", i, j, r, err)
			}
		}
	}
	// A file that is replaced by an older one is whole in itself; the checkpoint knows.
	older := clean.clone()
	for w := range older.rows {
		older.rows[w] = older.rows[w][:rows/2]
		older.rehash(w, rows/2)
	}
	if r, _ := witness.Verify(t.Context(), older, points[:2]); !r.Whole() {
		t.Errorf("what it has is whole: %v", r.Broken)
	}
	if r, _ := witness.Verify(t.Context(), older, points); len(r.Broken) != 3 || r.Broken[0].Seq != rows/2+1 {
		t.Errorf("an older one: %v", r.Broken)
	}
}

func TestVerify_TwoCheckpointsThatContradictEachOtherAreFound(t *testing.T) {
	t.Parallel()
	clean, points := written(t)
	forged := points[1]
	forged.Heads = slices.Clone(forged.Heads)
	forged.Heads[2].Hash[5] ^= 1
	for _, list := range [][]witness.Checkpoint{{points[1], forged}, {forged, points[1]}} {
		r, err := witness.Verify(t.Context(), clean, list)
		if err != nil || r.Whole() || r.Broken[0].Writer != "wrt_c" || r.Broken[0].Seq != 2*everyRow {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// An accepted restore takes back what was lost, and nothing of what it kept.
func TestVerify_ARestoreIsFollowedToItsPoint(t *testing.T) {
	t.Parallel()
	clean, points := written(t)
	b := clean.clone()
	for w := range b.rows {
		b.rows[w] = b.rows[w][:everyRow+7]
		b.rehash(w, everyRow+7)
	}
	b.add("wrt_d", []byte(`{"type":"epoch.raised"}`))
	heads, _ := b.Heads(t.Context())
	restored := append(slices.Clone(points), witness.Checkpoint{At: points[0].At, Heads: heads, Epoch: 1})
	r, err := witness.Verify(t.Context(), b, restored)
	if err != nil || !r.Whole() || len(r.Restores) != 1 || r.Restores[0].Lost != 3*(rows-everyRow-7) {
		t.Fatalf("%+v, %v", r, err)
	}
	b.rows["wrt_a"][3].Body = []byte("{}")
	b.rehash("wrt_a", 3)
	if r, _ := witness.Verify(t.Context(), b, restored); r.Whole() || r.Broken[0].Seq != everyRow {
		t.Errorf("what it kept was changed: %+v", r)
	}
}
