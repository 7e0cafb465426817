package memstore

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/grant"
)

const shards = 64

// Budgets of the tables: nothing that is kept for one purpose takes the place of what is kept for another. In all, with the
// rates, it is less than 200 MiB.
var (
	flowBudget  = budget{entries: 1 << 17, bytes: 128 << 20}
	codeBudget  = budget{entries: 1 << 16, bytes: 32 << 20}
	otherBudget = budget{entries: 1 << 14, bytes: 16 << 20}
)

// budget bounds a table.
type budget struct{ entries, bytes int }

// overhead is about what an entry costs beside its key and value: map slot, lists, headers.
const overhead = 256

var errFull = (&fault.Error{Kind: fault.Unavailable, Code: "overloaded", Message: "too many sign-ins are under way; try again soon"}).After(5 * time.Second)

// Store is bounded maps of values with a time to live, spread over shards so that no lock is global.
type Store struct {
	grant.Codes
	clk   clock.Clock
	seed  maphash.Seed
	flows *table
	codes *table
	other *table
	rates [shards]rateShard
}

type rateShard struct {
	mu sync.Mutex
	m  map[rateKey]int64 // when the requests so far are worth no time any more, in nanoseconds
}

// New returns an empty store.
func New(clk clock.Clock) *Store {
	s := &Store{clk: clk, seed: maphash.MakeSeed(), flows: newTable(flowBudget, true), codes: newTable(codeBudget, false), other: newTable(otherBudget, false)}
	for i := range s.rates {
		s.rates[i].m = map[rateKey]int64{}
	}
	s.Codes = grant.NewCodes(s, clk)
	return s
}

func (s *Store) hash(text string) uint64 { return maphash.String(s.seed, text) }

// in returns the shard for a key, and the key as it is there.
func (s *Store) in(t *table, kind, id string) (*shard, string) {
	k := kind + "\x00" + id
	return &t.sh[s.hash(k)%shards], k
}

func (s *Store) table(kind string) *table {
	switch kind {
	case kindFlow:
		return s.flows
	case grant.CodeKind:
		return s.codes
	}
	return s.other
}

// Put stores value under kind and key for ttl, in place of what was there. Errors: Unavailable when there is no room.
func (s *Store) Put(_ context.Context, kind, id string, value []byte, ttl time.Duration) error {
	sh, k := s.in(s.table(kind), kind, id)
	now := s.clk.Now()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.put(&entry{key: k, value: value, expires: now.Add(ttl), firm: true}, now)
}

// Get returns the value under kind and key, and whether there is one that has not expired.
func (s *Store) Get(_ context.Context, kind, id string) (value []byte, ok bool, err error) {
	sh, k := s.in(s.table(kind), kind, id)
	now := s.clk.Now()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.m[k]
	if e == nil || !now.Before(e.expires) {
		return nil, false, nil
	}
	return e.value, true, nil
}

// Delete forgets kind and key. It is no error if there is nothing.
func (s *Store) Delete(_ context.Context, kind, id string) error {
	sh, k := s.in(s.table(kind), kind, id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e := sh.m[k]; e != nil {
		sh.remove(e)
	}
	return nil
}
