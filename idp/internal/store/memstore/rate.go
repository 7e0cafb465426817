package memstore

import (
	"context"
	"time"

	"ellis.example/idp/internal/rate"
	"ellis.example/idp/internal/throttle"
)

const (
	// maxRates bounds the keys that are counted at a time, all shards together: about 50 bytes each.
	maxRates = 1 << 18
	// rateProbes is how many keys are looked at for the one to forget when a shard is full.
	rateProbes = 8
)

var _ throttle.Rates = (*Store)(nil)

// rateKey stands for a key in constant space: two hashes under seeds that nobody knows.
type rateKey [2]uint64

// Allow implements throttle.Rates. When more keys come than are kept, those that have used least of their burst are
// forgotten first: they would have been let through anyhow.
func (s *Store) Allow(_ context.Context, key string, limit rate.Limit) (bool, time.Duration, error) {
	if limit.None() {
		return true, 0, nil
	}
	k := rateKey{s.hash(key), s.hash("2" + key)}
	sh, now := &s.rates[k[0]%shards], s.clk.Now()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var at time.Time
	kept, there := sh.m[k]
	if there {
		at = time.Unix(0, kept)
	}
	next, wait := limit.Take(at, now)
	if wait > 0 {
		return false, wait, nil
	}
	if !there && len(sh.m) >= maxRates/shards {
		sh.forgetOne()
	}
	sh.m[k] = next.UnixNano()
	return true, 0, nil
}

// forgetOne makes room: the key, of a few, whose requests are worth no time soonest. Iteration begins anywhere.
func (sh *rateShard) forgetOne() {
	var least rateKey
	var at int64
	n := 0
	for k, v := range sh.m {
		if n == 0 || v < at {
			least, at = k, v
		}
		if n++; n == rateProbes {
			break
		}
	}
	delete(sh.m, least)
}
