package witness_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/witness"
)

// crowd is a record of n writers that came to their end, and the signing of it.
func crowd(t *testing.T, n int) (book, *witness.Checkpointer) {
	t.Helper()
	b := book{map[string][]chain.Record{}, map[string]chain.Head{}}
	for i := range n {
		b.add(fmt.Sprintf("wrt_%026d", i), []byte(`{"type":"backup.made"}`))
	}
	return b, &witness.Checkpointer{Log: b, Key: key(t), Origin: "https://id.example", File: filepath.Join(t.TempDir(), "points"), Now: time.Now}
}

// sign signs n checkpoints, of one more record of a writer each.
func sign(t *testing.T, b book, c *witness.Checkpointer, n int) {
	t.Helper()
	for range n {
		b.add("wrt_serve", []byte(`{"type":"token.issued"}`))
		if err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// covers fails unless a file says where all chains of a record stand.
func covers(t *testing.T, b book, c *witness.Checkpointer) []witness.Checkpoint {
	t.Helper()
	heads, _ := b.Heads(t.Context())
	last, ok, err := witness.Last(c.File, c.Key)
	if err != nil || !ok || !slices.Equal(last.Heads, heads) {
		t.Fatalf("the last one has %d heads of %d: %v", len(last.Heads), len(heads), err)
	}
	all, err := witness.ReadAll(c.File, c.Key)
	if err != nil || !slices.Equal(witness.Covered(all), heads) {
		t.Fatalf("all have %d heads of %d: %v", len(witness.Covered(all)), len(heads), err)
	}
	return all
}

// parts are the checkpoints of a file as they stand there.
func parts(t *testing.T, file string) (out [][]byte) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for one := range bytes.SplitSeq(bytes.TrimSuffix(text, []byte("\n\n\n\n")), []byte("\n\n\n\n")) {
		out = append(out, append(bytes.Clone(one), '\n'))
	}
	return out
}

func rewrite(t *testing.T, file string, parts [][]byte) {
	t.Helper()
	var text []byte
	for _, p := range parts {
		text = append(append(text, p...), "\n\n\n"...)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// asked counts how often single records are asked for.
type asked struct {
	book
	n *int
}

func (a asked) Walk(ctx context.Context, writer string, after int64, f func(chain.Record) error) error {
	*a.n++
	return a.book.Walk(ctx, writer, after, f)
}

func TestCheckpointer_StaysSmallHoweverManyWritersThereWere(t *testing.T) {
	t.Parallel()
	const writers = 20_000
	b, c := crowd(t, writers)
	sign(t, b, c, 1)
	first := parts(t, c.File)
	for _, p := range first {
		if len(p) > 300<<10 {
			t.Errorf("one of %d bytes", len(p))
		}
	}
	sign(t, b, c, 3)
	for _, p := range parts(t, c.File)[len(first):] {
		if len(p) > 2048 {
			t.Errorf("with nothing new but one record: %d bytes", len(p))
		}
	}
	points := covers(t, b, c)
	sign(t, b, &witness.Checkpointer{Log: b, Key: c.Key, Origin: c.Origin, File: c.File, Now: time.Now}, 1) // another process
	if p := parts(t, c.File); len(p[len(p)-1]) > 2048 {
		t.Errorf("of another process: %d bytes", len(p[len(p)-1]))
	}
	last, _, err := witness.Last(c.File, c.Key)
	if err != nil || len(last.Heads) != writers+1 {
		t.Fatal(len(last.Heads), err)
	}
	b.add("wrt_serve", []byte(`{}`)) // since it was signed
	n := 0
	if why, err := last.Behind(t.Context(), asked{b, &n}); err != nil || why != "" || n > 1 {
		t.Errorf("%q, %v, %d single records asked for", why, err, n)
	}
	victim := fmt.Sprintf("wrt_%026d", 4711)
	b.rows[victim], b.heads[victim] = nil, chain.Head{Writer: victim}
	if why, err := last.Behind(t.Context(), b); err != nil || !strings.Contains(why, victim) {
		t.Errorf("%q, %v", why, err)
	}
	if r, err := witness.Verify(t.Context(), b, points); err != nil || len(r.Broken) != 1 || r.Broken[0].Writer != victim || r.Broken[0].Seq != 1 {
		t.Errorf("%+v, %v", r.Broken, err)
	}
}

// However long a file is, its last few checkpoints together say where all chains stand.
func TestLast_ReadsNoMoreThanTheEnd(t *testing.T) {
	t.Parallel()
	b, c := crowd(t, 100)
	sign(t, b, c, 30)
	for i, w := range []string{"wrt_00000000000000000000000042", "wrt_new", "a", "zzz"} { // in the midst, and at both ends
		b.add(w, []byte(`{}`))
		sign(t, b, c, 1+i)
	}
	c = &witness.Checkpointer{Log: b, Key: c.Key, Origin: c.Origin, File: c.File, Now: time.Now} // a new process goes on in turn
	sign(t, b, c, 3)
	whole := parts(t, c.File)
	covers(t, b, c)
	const turn = 104/16 + 1
	rewrite(t, c.File, whole[len(whole)-turn:])
	covers(t, b, c)
	rewrite(t, c.File, whole[len(whole)-3:])
	if _, ok, err := witness.Last(c.File, c.Key); err == nil || ok {
		t.Errorf("three of %d say everything", turn)
	}
}

func TestReadAll_MissesWhatTheLastGoesOnFrom(t *testing.T) {
	t.Parallel()
	b, c := crowd(t, 100)
	sign(t, b, c, 2)
	b.add("wrt_ended", []byte(`{}`))
	sign(t, b, c, 2) // the first of these names it
	whole := parts(t, c.File)
	for name, list := range map[string][][]byte{
		"taken out": slices.Delete(slices.Clone(whole), 2, 3), "the beginning": whole[1:],
	} {
		rewrite(t, c.File, list)
		if _, err := witness.ReadAll(c.File, c.Key); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("checkpoint %d", len(list))) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text := bytes.Clone(whole[3])
	rewrite(t, c.File, [][]byte{whole[0], whole[1], whole[2], bytes.Replace(text, []byte("covered 102"), []byte("covered 101"), 1)})
	if _, _, err := witness.Last(c.File, c.Key); err == nil {
		t.Error("one that was changed passes")
	}
}

// A file of an older release has all heads in each checkpoint.
func TestCheckpointer_GoesOnWithAFileInWhichEachHasAllHeads(t *testing.T) {
	t.Parallel()
	b, c := crowd(t, 100)
	for range 2 {
		b.add("wrt_serve", []byte(`{}`))
		heads, _ := b.Heads(t.Context())
		text, err := c.Key.Sign(witness.Checkpoint{Origin: c.Origin, At: time.Now(), Heads: heads})
		if err != nil || !bytes.HasPrefix(text, []byte("ellis audit checkpoint v1\n")) {
			t.Fatal(err)
		}
		if err := witness.Append(c.File, text); err != nil {
			t.Fatal(err)
		}
	}
	covers(t, b, c)
	sign(t, b, c, 2)
	if got := covers(t, b, c); len(got) != 4 || len(got[0].Heads) != 101 || len(got[1].Heads) != 1 || len(got[3].Heads) != 1 {
		t.Errorf("%d checkpoints", len(got))
	}
	if p := parts(t, c.File); !bytes.HasPrefix(p[2], []byte("ellis audit checkpoint v2\n")) || len(p[2]) > 2048 {
		t.Errorf("it goes on with %.200s", p[2])
	}
}

func TestCheckpointer_SharesAFile(t *testing.T) {
	t.Parallel()
	b, c := crowd(t, 40)
	other := &witness.Checkpointer{Log: b, Key: c.Key, Origin: c.Origin, File: c.File, Now: time.Now}
	for range 4 {
		sign(t, b, c, 2)
		sign(t, b, other, 1)
	}
	if got := covers(t, b, c); len(got) != 12 {
		t.Errorf("%d checkpoints", len(got))
	}
	sign(t, b, c, 1)
	was := b.clone()
	sign(t, b, other, 1)
	c.Log = was // it has all that this one signed, and not what the other did
	if err := c.Once(t.Context()); !errors.Is(err, witness.ErrSetBack) {
		t.Errorf("what another process signed is gone: %v", err)
	}
}

// What is too much for one is signed in several; each is good without those behind it.
func TestCheckpointer_GoesOnWhereOneOfSeveralWasTheLastToReachTheDisk(t *testing.T) {
	t.Parallel()
	b, c := crowd(t, 8000)
	sign(t, b, c, 1)
	whole := parts(t, c.File)
	if len(whole) < 3 {
		t.Fatalf("%d parts", len(whole))
	}
	for n := 1; n < len(whole); n++ {
		rewrite(t, c.File, whole[:n])
		last, ok, err := witness.Last(c.File, c.Key)
		if err != nil || !ok || len(last.Heads) < n*1000 {
			t.Fatalf("after %d: %d heads, %v", n, len(last.Heads), err)
		}
		sign(t, b, c, 1)
		covers(t, b, c)
	}
}

func TestVerify_ARestoreOfVeryManyWritersIsOne(t *testing.T) {
	t.Parallel()
	b, c := crowd(t, 8000)
	sign(t, b, c, 3)
	back := b.clone()
	back.rows["wrt_serve"] = back.rows["wrt_serve"][:1]
	back.rehash("wrt_serve", 1)
	delete(back.rows, "wrt_00000000000000000000000042")
	delete(back.heads, "wrt_00000000000000000000000042")
	said := ""
	c = &witness.Checkpointer{
		Log: back, Key: c.Key, Origin: c.Origin, File: c.File, Now: time.Now, SetBack: func() { said += "back " }, Accepted: func() { said += "accepted " },
	}
	if err := c.Once(t.Context()); err == nil {
		t.Fatal("a new process signs what was set back")
	}
	back.add("cmd_restore", []byte(`{"type":"epoch.raised"}`))
	f, err := witness.OpenFiles([]string{c.File}, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	heads, _ := back.Heads(t.Context())
	if err := f.Sign(witness.Checkpoint{Origin: c.Origin, At: time.Now(), Heads: heads, Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	if last, _, err := witness.Last(c.File, c.Key); err != nil || last.Epoch != 1 {
		t.Fatalf("epoch %d, %v", last.Epoch, err)
	}
	sign(t, back, c, 2)
	if said != "back accepted " {
		t.Errorf("it says %q", said)
	}
	points := covers(t, back, c)
	r, err := witness.Verify(t.Context(), back, points)
	if err != nil || !r.Whole() || len(r.Restores) != 1 || r.Restores[0].Lost != 3 {
		t.Fatalf("%v, %+v, %v", r.Broken, r.Restores, err)
	}
	back.rows["wrt_serve"][0].Body = []byte("{}")
	back.rehash("wrt_serve", 0)
	if r, _ := witness.Verify(t.Context(), back, points); r.Whole() || r.Broken[0].Writer != "wrt_serve" || r.Broken[0].Seq != 1 {
		t.Errorf("what it kept was changed: %+v", r.Broken)
	}
}

// What is as long as it was, and another, is not signed.
func TestCheckpointer_SignsNothingThatWentAnotherWay(t *testing.T) {
	t.Parallel()
	b, c := crowd(t, 20)
	back := 0
	c.SetBack = func() { back++ }
	sign(t, b, c, 2)
	b.rows["wrt_serve"][1].Body = []byte(`{}`)
	b.rehash("wrt_serve", 1)
	b.add("wrt_more", []byte(`{}`))
	if err := c.Once(t.Context()); err == nil || back != 1 {
		t.Errorf("%v, said %d times", err, back)
	}
}
