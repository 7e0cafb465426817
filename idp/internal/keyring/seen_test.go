package keyring

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

func TestSeen_IsBoundedAndTheOldestMakesRoom(t *testing.T) {
	t.Parallel()
	var c seen
	sum := func(i int) [sha256.Size]byte { return sha256.Sum256(fmt.Appendf(nil, "token %d", i)) }
	const n = 3 * seenShards * seenPerShard
	for i := range n {
		c.put(sum(i), verified{typ: fmt.Sprint(i)})
		c.put(sum(i), verified{typ: "another"})
	}
	kept := 0
	for i := range c.shard {
		kept += len(c.shard[i].by)
	}
	if kept != seenShards*seenPerShard {
		t.Errorf("%d are kept", kept)
	}
	if v, ok := c.get(sum(n - 1)); !ok || v.typ != fmt.Sprint(n-1) {
		t.Errorf("the last one: %+v, %v", v, ok)
	}
	if _, ok := c.get(sum(0)); ok {
		t.Error("the first one is still there")
	}
}
