package redisstore

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"ellis.example/idp/internal/throttle"
)

const (
	kindRate = "rate"
	// rateTimeout is how long a request waits to be counted by all replicas together.
	rateTimeout = 250 * time.Millisecond
	// rest is how long Redis is left alone with rates after it did not answer.
	rest = time.Second
	// otherClock is how much longer a count is kept where Redis's clock is not the one that counts.
	otherClock = time.Minute
)

var _ throttle.Rates = (*Store)(nil)

// take is throttle.Limit.Take, in microseconds.
var take = redis.NewScript(`
local now, every, room = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local at = tonumber(redis.call('GET', KEYS[1]) or '0')
if at < now or at - now > room then at = now end
local following = at + every
local over = following - now - room
if over > 0 then return over end
redis.call('SET', KEYS[1], string.format('%.0f', following), 'PX', math.ceil((following - now) / 1000) + tonumber(ARGV[4]))
return 0`)

// Allow implements throttle.Rates. What Redis lets through is counted in this process too, which may refuse it: after Redis lost
// its counts, or while it does not answer, no replica lets through more than it would alone. So a loss of Redis multiplies a
// limit by the number of replicas at the most.
func (s *Store) Allow(ctx context.Context, key string, limit throttle.Limit) (bool, time.Duration, error) {
	if limit.None() {
		return true, 0, nil
	}
	if !s.resting.over(s.Clock.Now()) {
		s.Observe("rate_alone")
		return s.Local.Allow(ctx, key, limit)
	}
	var now, longer int64
	if s.RateClock != nil {
		now, longer = s.RateClock.Now().UnixMicro(), otherClock.Milliseconds()
	}
	asking, cancel := context.WithTimeout(ctx, rateTimeout)
	defer cancel()
	every := max(limit.Every.Microseconds(), 1)
	wait, err := take.Run(asking, s.db, []string{s.key(kindRate, key)}, now, every, every*int64(limit.Burst), longer).Int64()
	switch {
	case err != nil:
		s.Observe("rate_alone")
		if ctx.Err() == nil { // it was not the request that ended
			s.resting.until(s.Clock.Now().Add(rest))
		}
	case wait > 0:
		return false, time.Duration(wait) * time.Microsecond, nil
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
