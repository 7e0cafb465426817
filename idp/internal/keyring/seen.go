package keyring

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
)

const (
	seenShards   = 16
	seenPerShard = 512 // 8,192 tokens in all, about 6 MB, and 10 where all of them were introspected
)

// seen remembers tokens whose signature was verified with one set of keys, by the SHA-256 of their whole text. It belongs to
// that set and goes with it, so that nothing outlives the key that signed it. It says nothing about whether a token stands.
// It is bounded: the oldest makes room.
type seen struct{ shard [seenShards]seenShard }

type seenShard struct {
	mu    sync.RWMutex
	by    map[[sha256.Size]byte]verified
	order [][sha256.Size]byte // a ring, once it is full
	next  int

	hits, misses atomic.Int64
}

// verified is what a signature vouches for. The claims themselves are in the text that was shown again.
type verified struct {
	typ   string
	state State // of the key
	read  any   // what was made of the claims; nil: nothing
}

func (c *seen) get(sum [sha256.Size]byte) (verified, bool) {
	s := &c.shard[sum[0]%seenShards]
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok := s.by[sum]
	if ok {
		s.hits.Add(1)
	} else {
		s.misses.Add(1)
	}
	return v, ok
}

// uses adds up how the set was used.
func (c *seen) uses() (u Uses) {
	for i := range c.shard {
		s := &c.shard[i]
		s.mu.RLock()
		u.Tokens += len(s.by)
		s.mu.RUnlock()
		u.Hits += s.hits.Load()
		u.Misses += s.misses.Load()
	}
	return u
}

func (c *seen) put(sum [sha256.Size]byte, v verified) {
	s := &c.shard[sum[0]%seenShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, there := s.by[sum]; there {
		if old.read == nil && v.read != nil {
			s.by[sum] = v
		}
		return
	}
	if s.by == nil {
		s.by = map[[sha256.Size]byte]verified{}
	}
	if len(s.order) < seenPerShard {
		s.order = append(s.order, sum)
	} else {
		delete(s.by, s.order[s.next])
		s.order[s.next] = sum
		s.next = (s.next + 1) % seenPerShard
	}
	s.by[sum] = v
}
