package witness_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/witness"
)

func key(t *testing.T) *witness.Key {
	t.Helper()
	k, err := witness.NewKey("id.example", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// point is the text of a checkpoint at a record.
func point(t *testing.T, k *witness.Key, seq int64) []byte {
	t.Helper()
	text, err := k.Sign(witness.Checkpoint{Origin: "https://id.example", At: time.Date(2026, 11, 25, 9, 0, int(seq), 0, time.UTC), Heads: []chain.Head{{Writer: "wrt_a", Seq: seq, Hash: [32]byte{byte(seq)}}}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// kept are the records that the checkpoints of a file stand at.
func kept(t *testing.T, file string, k *witness.Key) (out []int64) {
	t.Helper()
	all, err := witness.ReadAll(file, k)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		out = append(out, c.Heads[0].Seq)
	}
	last, ok, err := witness.Last(file, k)
	if err != nil || ok != (len(out) > 0) || (ok && last.Heads[0].Seq != out[len(out)-1]) {
		t.Fatalf("the last of %v reads as %+v, %v, %v", out, last, ok, err)
	}
	return out
}

func TestAppend_GoesOnBehindTheLastWholeCheckpointWhereverAWriterWasCutOff(t *testing.T) {
	t.Parallel()
	k := key(t)
	file := filepath.Join(t.TempDir(), "checkpoints")
	for _, seq := range []int64{1, 2} {
		if err := witness.Append(file, point(t, k, seq)); err != nil {
			t.Fatal(err)
		}
	}
	full, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	second := bytes.LastIndex(full, []byte("\n\n\n\nellis")) + 4
	for _, start := range []int{0, second} {
		for cut := start; cut < len(full); cut++ {
			if start == 0 && cut >= second {
				break
			}
			if left := len(full) - cut; cut%9 != 0 && left > 5 && (cut >= second || cut < second-5) {
				continue // a sync each: the ends are what matters
			}
			torn := filepath.Join(t.TempDir(), "torn")
			if err := os.WriteFile(torn, full[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			want := "[]"
			if start > 0 {
				want = "[1]"
			}
			if got := fmt.Sprint(kept(t, torn, k)); got != want {
				t.Fatalf("cut at %d: %s before", cut, got)
			}
			if err := witness.Append(torn, point(t, k, 3)); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(kept(t, torn, k)); got != strings.Replace(strings.Replace(want, "]", " 3]", 1), "[ ", "[", 1) {
				t.Fatalf("cut at %d: %s after", cut, got)
			}
		}
	}
	// Blocks that a file system lost are zeros.
	if err := os.WriteFile(file, append(full, make([]byte, 4096)...), 0o600); err != nil {
		t.Fatal(err)
	}
	third := point(t, k, 3)
	if err := witness.Append(file, third); err != nil || fmt.Sprint(kept(t, file, k)) != "[1 2 3]" {
		t.Errorf("behind zeros: %v, %v", kept(t, file, k), err)
	}
	if now, err := os.ReadFile(file); err != nil || string(now) != string(full)+string(third)+"\n\n\n" {
		t.Errorf("something of them is left: %v", err)
	}
}

func TestAppend_NeverTouchesAWholeCheckpointThatIsWrong(t *testing.T) {
	t.Parallel()
	k := key(t)
	file := filepath.Join(t.TempDir(), "checkpoints")
	if err := witness.Append(file, point(t, k, 1)); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wrong := bytes.Replace(good, []byte("wrt_a 1 "), []byte("wrt_a 9 "), 1)
	if err := os.WriteFile(file, append(bytes.Clone(good), wrong...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := witness.Last(file, k); err == nil || ok {
		t.Errorf("the last one passes: %v, %v", ok, err)
	}
	if err := witness.Append(file, point(t, k, 2)); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(after, append(bytes.Clone(good), wrong...)) {
		t.Errorf("it is gone: %v", err)
	}
	if _, err := witness.ReadAll(file, k); err == nil || !strings.Contains(err.Error(), "checkpoint 2") {
		t.Errorf("got %v", err)
	}
}

func TestAppend_RefusesWhatCouldNotBeReadBack(t *testing.T) {
	t.Parallel()
	k := key(t)
	file := filepath.Join(t.TempDir(), "checkpoints")
	if err := witness.Append(file, point(t, k, 1)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"too long": append(bytes.Repeat([]byte("x"), 1<<20), '\n'), "cut": []byte("ellis"), "empty": nil} {
		if err := witness.Append(file, text); err == nil {
			t.Errorf("%s: it is kept", name)
		}
	}
	if got := fmt.Sprint(kept(t, file, k)); got != "[1]" {
		t.Error(got)
	}
}

func TestAppend_OneOfManyAtATime(t *testing.T) {
	t.Parallel()
	k := key(t)
	file := filepath.Join(t.TempDir(), "checkpoints")
	texts := make([][]byte, 64)
	for i := range texts {
		texts[i] = point(t, k, int64(i+1))
	}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, text := range texts {
		wg.Go(func() {
			<-start
			if err := witness.Append(file, text); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	all, err := witness.ReadAll(file, k)
	last, _, bad := witness.Last(file, k) // knows the one that is dated last, too
	if err = errors.Join(err, bad); err != nil || len(all) != len(texts) || last.Heads[0].Seq != int64(len(texts)) {
		t.Errorf("%d of %d are there, the last knows %v: %v", len(all), len(texts), last.Heads, err)
	}
}

// log is a record of one writer: each hash is its number, but for those that differ.
type log struct {
	head    int64
	differs map[int64]byte
}

func (l log) hash(seq int64) (h chain.Hash) {
	h[0], h[1] = byte(seq), l.differs[seq]
	return h
}

func (l log) Heads(context.Context) ([]chain.Head, error) {
	return []chain.Head{{Writer: "wrt_a", Seq: l.head, Hash: l.hash(l.head)}}, nil
}

func (l log) Walk(_ context.Context, writer string, after int64, f func(chain.Record) error) error {
	for seq := after + 1; writer == "wrt_a" && seq <= l.head; seq++ {
		if err := f(chain.Record{Writer: writer, Seq: seq, Hash: l.hash(seq)}); err != nil {
			return err
		}
	}
	return nil
}

func TestBehind_LooksAtWhatWasSignedAndNotOnlyAtHowMuch(t *testing.T) {
	t.Parallel()
	c := witness.Checkpoint{Heads: []chain.Head{{Writer: "wrt_a", Seq: 5, Hash: log{}.hash(5)}}}
	for name, l := range map[string]log{
		"at it": {head: 5}, "beyond it": {head: 9}, "beyond it, and something later differs": {head: 9, differs: map[int64]byte{6: 1}},
	} {
		if why, err := c.Behind(t.Context(), l); err != nil || why != "" {
			t.Errorf("%s: %q, %v", name, why, err)
		}
	}
	for name, l := range map[string]log{
		"older": {head: 4}, "empty": {}, "as long, but another": {head: 5, differs: map[int64]byte{5: 1}}, "went another way, and is longer": {head: 9, differs: map[int64]byte{5: 1}},
	} {
		if why, err := c.Behind(t.Context(), l); err != nil || !strings.Contains(why, "wrt_a") {
			t.Errorf("%s: %q, %v", name, why, err)
		}
	}
	if why, _ := c.Behind(t.Context(), log{head: 4}); !strings.Contains(why, "checkpoint at 5, database at 4") {
		t.Error(why)
	}
	c.Heads[0].Writer = "wrt_b"
	if why, err := c.Behind(t.Context(), log{head: 9}); err != nil || why == "" {
		t.Errorf("an unknown writer: %q, %v", why, err)
	}
}
