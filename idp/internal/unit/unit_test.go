package unit_test

import (
	"errors"
	"fmt"
	"testing"

	"ellis.example/idp/internal/unit"
)

type otherWrite struct{}

func (otherWrite) UnitWrite() {}

func TestConflictIn_FindsTheWriteThatFailed(t *testing.T) {
	t.Parallel()
	spent := unit.Spend{Kind: "code", Ref: "grt_1"}
	var err error = &unit.Conflict{Write: spent, Why: "it was spent"}
	for _, e := range []error{err, fmt.Errorf("commit: %w", err), errors.Join(errors.New("first"), err)} {
		if w, ok := unit.ConflictIn[unit.Spend](e); !ok || w != spent {
			t.Errorf("%v: %+v, %v", e, w, ok)
		}
		if _, ok := unit.ConflictIn[otherWrite](e); ok {
			t.Errorf("%v is a conflict in another write", e)
		}
		if !unit.IsConflict(e) {
			t.Errorf("%v is none", e)
		}
	}
	for _, e := range []error{nil, errors.New("disk full")} {
		if _, ok := unit.ConflictIn[unit.Spend](e); ok || unit.IsConflict(e) {
			t.Errorf("%v is a conflict", e)
		}
	}
}

// No two lists of parts share a key, wherever the parts begin and end.
func TestKey_TellsListsApart(t *testing.T) {
	t.Parallel()
	seen := map[[32]byte]string{}
	for _, parts := range [][]string{nil, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"ab"}, {"a", "b"}, {"\x00\x00\x00\x01a"}, {"a\x00\x00\x00\x01b"}, {"a", "b", ""}} {
		k := unit.Key(parts...)
		if other, again := seen[k]; again {
			t.Errorf("%q and %s have one key", parts, other)
		}
		seen[k] = fmt.Sprintf("%q", parts)
		if k != unit.Key(parts...) {
			t.Errorf("%q has two keys", parts)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add("a", "b", "ab", "")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		if (a != c || b != d) && unit.Key(a, b) == unit.Key(c, d) {
			t.Fatalf("%q %q and %q %q", a, b, c, d)
		}
		if unit.Key(a, b) == unit.Key(a+b) {
			t.Fatalf("%q %q", a, b)
		}
	})
}
