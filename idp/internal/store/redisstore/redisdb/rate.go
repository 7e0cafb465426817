package redisdb

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/rate"
)

// otherClock is how much longer a count is kept where Redis's clock is not the one that counts.
const otherClock = time.Minute

// take is rate.Limit.Take, in microseconds.
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

// Take counts one request under a key, or says how long it has to wait; then it is not counted. Redis's own clock counts, so
// that it does not matter how far those of replicas are apart, unless clk is not nil. Errors: those of Redis, as they are.
func Take(ctx context.Context, db redis.Scripter, key string, l rate.Limit, clk clock.Clock) (wait time.Duration, err error) {
	var now, longer int64
	if clk != nil {
		now, longer = clk.Now().UnixMicro(), otherClock.Milliseconds()
	}
	every := max(l.Every.Microseconds(), 1)
	us, err := take.Run(ctx, db, []string{key}, now, every, every*int64(l.Burst), longer).Int64()
	return time.Duration(us) * time.Microsecond, err
}
