package api

import (
	"bytes"
	"testing"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/paper"
)

var fuzzSeals = sealer{bytes.Repeat([]byte{1}, 32)}

// A cursor that opens is one that was sealed, for the same list of the same person.
func FuzzCursor(f *testing.F) {
	at := cases.Position{UpdatedAt: time.UnixMicro(1795521600123456).UTC(), ID: "cas_00000000000000000000000000"}
	f.Add(fuzzSeals.sealPosition("p1", at))
	f.Add(fuzzSeals.sealSeq("p1", at.ID, 7))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := fuzzSeals.openPosition("p1", text); err == nil && fuzzSeals.sealPosition("p1", p) != text {
			t.Errorf("%q is another text of a cursor", text)
		}
		if _, err := fuzzSeals.openPosition("p2", text); err == nil {
			t.Errorf("%q opens another person's list", text)
		}
		if n, err := fuzzSeals.openSeq("p1", at.ID, text); err == nil && fuzzSeals.sealSeq("p1", at.ID, n) != text {
			t.Errorf("%q is another text of a cursor", text)
		}
	})
}

// Whatever is taken for a claim is in canonical form, and so reads the same again.
func FuzzParseClaim(f *testing.F) {
	code := paper.NewClaimCode().Grouped()
	f.Add([]byte(`{"receipt":"IOE-0912345678","code":"` + code + `"}`))
	f.Add([]byte(`{"receipt":"IOE0912345678","receipt":"IOE0912345679","code":"x"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		receipt, code, err := parseClaim(text)
		if err != nil {
			return
		}
		again := []byte(`{"receipt":"` + string(receipt) + `","code":"` + string(code) + `"}`)
		if r, c, err := parseClaim(again); err != nil || r != receipt || c != code {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func TestCursor_IsBoundToPersonListAndKey(t *testing.T) {
	t.Parallel()
	at := cases.Position{UpdatedAt: time.UnixMicro(-5).UTC(), ID: "cas_x"}
	text := fuzzSeals.sealPosition("p1", at)
	if got, err := fuzzSeals.openPosition("p1", text); err != nil || got != at {
		t.Errorf("%+v, %v", got, err)
	}
	otherKey := sealer{bytes.Repeat([]byte{2}, 32)}
	if _, err := otherKey.openPosition("p1", text); err == nil {
		t.Error("not bound to the key")
	}
	if _, err := fuzzSeals.openPosition("p", text); err == nil {
		t.Error("not bound to the person")
	}
	// Parts carry their lengths: moving a border between them makes another text.
	if bytes.Equal(fuzzSeals.sum("a", "bc", "d"), fuzzSeals.sum("a", "b", "cd")) || bytes.Equal(fuzzSeals.sum("a", "b"), fuzzSeals.sum("ab", "")) {
		t.Error("two lists of parts share a MAC")
	}
}
