package redisstore

import (
	"context"
	"sync/atomic"
	"time"

	"ellis.example/idp/internal/rate"
	"ellis.example/idp/internal/store/redisstore/redisdb"
	"ellis.example/idp/internal/throttle"
)

const (
	kindRate = "rate"
	// rateTimeout is how long a request waits to be counted by all replicas together.
	rateTimeout = 250 * time.Millisecond
	// rest is how long Redis is left alone with rates after it did not answer.
	rest = time.Second
)

var _ throttle.Rates = (*Store)(nil)

// Allow implements throttle.Rates. What Redis lets through is counted in this process too, which may refuse it: after Redis lost
// its counts, or while it does not answer, no replica lets through more than it would alone. So a loss of Redis multiplies a
// limit by the number of replicas at the most.
func (s *Store) Allow(ctx context.Context, key string, limit rate.Limit) (bool, time.Duration, error) {
	if limit.None() {
		return true, 0, nil
	}
	if !s.resting.over(s.Clock.Now()) {
		s.Observe("rate_alone")
		return s.Local.Allow(ctx, key, limit)
	}
	asking, cancel := context.WithTimeout(ctx, rateTimeout)
	defer cancel()
	wait, err := redisdb.Take(asking, s.db, s.key(kindRate, key), limit, s.RateClock)
	switch {
	case err != nil:
		s.Observe("rate_alone")
		if ctx.Err() == nil { // it was not the request that ended
			s.resting.until(s.Clock.Now().Add(rest))
		}
	case wait > 0:
		return false, wait, nil
	}
	return s.Local.Allow(ctx, key, limit)
}

// resting is until when Redis is left alone.
type resting struct{ at atomic.Int64 }

func (r *resting) until(t time.Time) { r.at.Store(t.UnixMicro()) }

// over reports whether the time is up. A clock that was set back does not lengthen it.
func (r *resting) over(now time.Time) bool {
	left := time.UnixMicro(r.at.Load()).Sub(now)
	return left <= 0 || left > rest
}
