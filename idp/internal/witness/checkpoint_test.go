package witness_test

import (
	"bytes"
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
