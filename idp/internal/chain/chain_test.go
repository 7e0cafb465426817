package chain_test

import (
	"errors"
	"fmt"
	"testing"

	"ellis.example/idp/internal/chain"
)

func build(n int) []chain.Record {
	head, out := chain.Head{Writer: "w1"}, []chain.Record{}
	for i := range n {
		var r chain.Record
		r, head = chain.Next(head, fmt.Appendf(nil, `{"n":%d}`, i))
		out = append(out, r)
	}
	return out
}

func follow(rs []chain.Record) error {
	head := chain.Head{Writer: "w1"}
	for _, r := range rs {
		var err error
		if head, err = chain.Follow(head, r); err != nil {
			return err
		}
	}
	return nil
}

func TestFollow_AcceptsWhatNextMade(t *testing.T) {
	t.Parallel()
	if err := follow(build(50)); err != nil {
		t.Fatal(err)
	}
}

func TestFollow_NamesTheFirstBadRecord(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		bend func([]chain.Record) []chain.Record
		seq  int64
	}{
		"body changed":  {func(r []chain.Record) []chain.Record { r[4].Body = []byte(`{"n":9}`); return r }, 5},
		"hash changed":  {func(r []chain.Record) []chain.Record { r[4].Hash[0] ^= 1; return r }, 5},
		"deleted":       {func(r []chain.Record) []chain.Record { return append(r[:4:4], r[5:]...) }, 5},
		"doubled":       {func(r []chain.Record) []chain.Record { return append(append(r[:5:5], r[4]), r[5:]...) }, 6},
		"swapped":       {func(r []chain.Record) []chain.Record { r[4], r[5] = r[5], r[4]; return r }, 5},
		"foreign":       {func(r []chain.Record) []chain.Record { r[4].Writer = "w2"; return r }, 5},
		"head cut away": {func(r []chain.Record) []chain.Record { return r[1:] }, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b *chain.Broken
			if err := follow(c.bend(build(10))); !errors.As(err, &b) || b.Seq != c.seq {
				t.Fatalf("got %v, want a break at %d", err, c.seq)
			}
		})
	}
}
