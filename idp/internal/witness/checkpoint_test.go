package witness_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/witness"
)

func TestReadCheckpoints_ReturnsEveryOneThatWasAppended(t *testing.T) {
	t.Parallel()
	k, err := witness.NewKey("id.example", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "checkpoints")
	if got, err := witness.ReadAll(file, k); err != nil || got != nil {
		t.Fatalf("a file that is not there yet reads as %v (%v)", got, err)
	}
	want := []witness.Checkpoint{
		{Origin: "https://id.example", At: time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC), Heads: []chain.Head{{Writer: "wrt_a", Seq: 3, Hash: [32]byte{1}}}},
		{Origin: "https://id.example", At: time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC), Heads: []chain.Head{{Writer: "wrt_a", Seq: 4, Hash: [32]byte{2}}, {Writer: "wrt_b", Seq: 1, Hash: [32]byte{3}}}},
	}
	for _, c := range want {
		text, err := k.Sign(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := witness.Append(file, text); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := witness.ReadAll(file, k); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
}

// A log that was set back is not signed any more, and goes on being signed once the file says that it was accepted.
func TestCheckpointer_StopsAtWhatWasSetBackAndGoesOnWhenItIsAccepted(t *testing.T) {
	t.Parallel()
	k := key(t)
	file := filepath.Join(t.TempDir(), "checkpoints")
	b, said := book{map[string][]chain.Record{}, map[string]chain.Head{}}, ""
	for range 3 {
		b.add("wrt_a", []byte(`{}`))
	}
	was := b.clone()
	b.add("wrt_a", []byte(`{"lost":1}`))
	c := &witness.Checkpointer{
		Log: &b, Key: k, Origin: "here", File: file, Now: time.Now, SetBack: func() { said += "back " }, Accepted: func() { said += "accepted " },
	}
	if err := c.Once(t.Context()); err != nil || len(kept(t, file, k)) != 1 {
		t.Fatal(err)
	}
	b = was.clone()
	b.add("wrt_b", []byte(`{}`))
	for range 2 {
		if err := c.Once(t.Context()); !errors.Is(err, witness.ErrSetBack) || len(kept(t, file, k)) != 1 {
			t.Errorf("it is signed: %v", err)
		}
	}
	heads, _ := b.Heads(t.Context())
	text, err := k.Sign(witness.Checkpoint{At: time.Now(), Heads: heads, Epoch: 1})
	if err := errors.Join(err, witness.Append(file, text)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.add("wrt_b", []byte(`{}`))
		if err := c.Once(t.Context()); err != nil {
			t.Errorf("it is not signed any more: %v", err)
		}
	}
	if n := len(kept(t, file, k)); n != 4 || said != "back back accepted " {
		t.Errorf("%d checkpoints, %s", n, said)
	}
	b = was.clone() // set back again, behind what was accepted
	if err := c.Once(t.Context()); !errors.Is(err, witness.ErrSetBack) || said != "back back accepted back " {
		t.Errorf("%v, %s", err, said)
	}
}
