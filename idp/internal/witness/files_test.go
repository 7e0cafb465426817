package witness_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/witness"
)

// A database that is in use shows nothing of a restore; one that was restored does, until its acceptance is signed everywhere.
func TestFiles_ADatabaseInUseIsToldFromOneThatWasRestored(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	other := h.points + "2"
	h.writes("srv_a")
	b, none := h.copied()
	h.writes("srv_a")
	text, err := os.ReadFile(h.points)
	h.must(errors.Join(err, os.WriteFile(other, text, 0o600)))
	wants := func(what string, want bool, l witness.Lost, more ...string) {
		t.Helper()
		if is, err := h.files(more...).SetBack(t.Context(), h, h.database(), l); err != nil || is != want {
			t.Errorf("%s: %v, %v", what, is, err)
		}
	}
	wants("in use", false, witness.Lost{})
	h.restore(b, none)
	wants("restored", true, witness.Lost{})
	h.accept("cmd_1", true, false)
	wants("accepted, and not signed", true, witness.Lost{})
	heads, err := h.Heads(t.Context())
	h.must(err)
	h.sign(witness.Checkpoint{At: h.now, Heads: heads, Epoch: 1})
	wants("signed in every file", false, witness.Lost{})
	wants("signed in one of two", true, witness.Lost{}, other)
	for ahead, want := range map[int64]bool{0: false, 1: true} { // of what the database has by now
		wants(fmt.Sprint("exported ", ahead), want, witness.Lost{Records: []chain.Record{{Writer: heads[0].Writer, Seq: heads[0].Seq + ahead}}})
	}
}
