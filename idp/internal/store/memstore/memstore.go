package memstore

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
)

const (
	shards = 64
	// maxEntries bounds the store: beyond it new entries are refused until old ones expire.
	maxEntries = 1 << 18
)

var errFull = (&fault.Error{Kind: fault.Unavailable, Code: "overloaded", Message: "too many sign-ins are under way; try again soon"}).After(5 * time.Second)

// Store is a bounded map of values with a time to live, spread over shards so that no lock is global.
type Store struct {
	clk  clock.Clock
	seed maphash.Seed
	sh   [shards]shard

	rates [shards]rateShard
}

type rateShard struct {
	mu sync.Mutex
	m  map[rateKey]int64 // when the requests so far are worth no time any more, in nanoseconds
}

type key struct{ kind, key string }

type entry struct {
	value   []byte
	version int64
	expires time.Time
}

type shard struct {
	mu sync.Mutex
	m  map[key]entry
	// sweepAt is when the shard is next worth looking through for expired entries.
	sweepAt time.Time
}

// New returns an empty store.
func New(clk clock.Clock) *Store {
	s := &Store{clk: clk, seed: maphash.MakeSeed()}
	for i := range s.sh {
		s.sh[i].m, s.rates[i].m = map[key]entry{}, map[rateKey]int64{}
	}
	return s
}

func (s *Store) hash(text string) uint64 { return maphash.String(s.seed, text) }

func (s *Store) at(k key) *shard { return &s.sh[maphash.Comparable(s.seed, k)%shards] }

// Put stores value under kind and key for ttl, in place of what was there. Errors: Unavailable when the store is full.
func (s *Store) Put(_ context.Context, kind, id string, value []byte, ttl time.Duration) error {
	k := key{kind, id}
	sh, now := s.at(k), s.clk.Now()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.put(k, entry{value: value, version: sh.m[k].version + 1, expires: now.Add(ttl)}, now)
}

// Get returns the value under kind and key, its version, and whether there is one that has not expired.
func (s *Store) Get(_ context.Context, kind, id string) (value []byte, version int64, ok bool, err error) {
	k := key{kind, id}
	sh, now := s.at(k), s.clk.Now()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e, ok := sh.m[k]
	if !ok || !now.Before(e.expires) {
		return nil, 0, false, nil
	}
	return e.value, e.version, true, nil
}

// CompareAndPut is Put on the condition that the stored version is old (0: nothing is stored). It returns whether it was.
func (s *Store) CompareAndPut(_ context.Context, kind, id string, old int64, value []byte, ttl time.Duration) (bool, error) {
	k := key{kind, id}
	sh, now := s.at(k), s.clk.Now()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e, ok := sh.m[k]
	if !ok || !now.Before(e.expires) {
		e = entry{}
	}
	if e.version != old {
		return false, nil
	}
	return true, sh.put(k, entry{value: value, version: old + 1, expires: now.Add(ttl)}, now)
}

// Delete forgets kind and key. It is no error if there is nothing.
func (s *Store) Delete(_ context.Context, kind, id string) error {
	k := key{kind, id}
	sh := s.at(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.m, k)
	return nil
}

// put stores e; the shard is locked. Expired entries are collected at most once a second.
func (sh *shard) put(k key, e entry, now time.Time) error {
	_, there := sh.m[k]
	if now.After(sh.sweepAt) {
		sh.sweepAt = now.Add(time.Second)
		for k, old := range sh.m {
			if !now.Before(old.expires) {
				delete(sh.m, k)
			}
		}
	}
	if !there && len(sh.m) >= maxEntries/shards {
		return errFull
	}
	sh.m[k] = e
	return nil
}
