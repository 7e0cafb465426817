package accesstoken

import (
	"sync"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/feed"
	"ellis.example/caseservice/internal/issuer"
)

const (
	shards   = 16
	perShard = 1024 // 16,384 tokens, about 10 MB
)

// remembered is a token that was verified before, and with which key.
type remembered struct {
	caller *cases.Caller
	key    *issuer.Key
	token  *feed.Token
}

// cache remembers verified tokens by the SHA-256 of their whole text. It is bounded: the oldest entry makes room. It does
// not look at time; its reader does.
type cache struct{ shard [shards]cacheShard }

type cacheShard struct {
	mu    sync.RWMutex
	byKey map[[32]byte]remembered
	ring  [][32]byte // in order of arrival; overwritten from the oldest on
	next  int
}

func (c *cache) get(sum [32]byte) (remembered, bool) {
	s := &c.shard[sum[0]%shards]
	s.mu.RLock()
	r, ok := s.byKey[sum]
	s.mu.RUnlock()
	return r, ok
}

func (c *cache) put(sum [32]byte, r remembered) {
	s := &c.shard[sum[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil {
		s.byKey = make(map[[32]byte]remembered)
	}
	if _, there := s.byKey[sum]; !there {
		if len(s.ring) < perShard {
			s.ring = append(s.ring, sum)
		} else {
			delete(s.byKey, s.ring[s.next])
			s.ring[s.next] = sum
			s.next = (s.next + 1) % perShard
		}
	}
	s.byKey[sum] = r
}

// drop empties an entry but leaves its place in the ring, which the next round reuses.
func (c *cache) drop(sum [32]byte) {
	s := &c.shard[sum[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.byKey[sum]; ok {
		r.caller, r.token = nil, nil
		s.byKey[sum] = r
	}
}

// len returns how many tokens are remembered.
func (c *cache) len() (n int) {
	for i := range c.shard {
		s := &c.shard[i]
		s.mu.RLock()
		n += len(s.byKey)
		s.mu.RUnlock()
	}
	return n
}
