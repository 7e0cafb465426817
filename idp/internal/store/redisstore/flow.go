package redisstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/store/redisstore/redisdb"
)

const (
	kindFlow = "flow"
	// lines is over how many slots flows are spread: each has a line of those that anybody can begin, and one of the others.
	lines = 64
	// lineLength bounds each: 32,768 flows of each sort in all. They are 8 KiB at the most, and mostly one or two.
	lineLength = 512
)

var _ flow.Store = (*Store)(nil)

// flowKeys are the flow's own, and the lines of those of strangers and of those who have proven something. The same slot has
// all three.
func (s *Store) flowKeys(id string) []string {
	mac := s.mac(kindFlow, id)
	at := fmt.Sprintf("%s%s:{%02d}:", Prefix, kindFlow, mac[0]%lines)
	return []string{at + base64.RawURLEncoding.EncodeToString(mac), at + "strangers", at + "proven"}
}

// putFlow stores the next version of a flow if the last is the one that the writer knew, and gives up the oldest of its line
// where that is too long. A write that comes a second time, because its answer was lost, has succeeded.
var putFlow = redis.NewScript(`
local now, life = tonumber(ARGV[4]), tonumber(ARGV[7])
local there = redis.call('HMGET', KEYS[1], 'version', 'end', 'flow')
local version = 0
if there[1] and tonumber(there[2]) > now then version = tonumber(there[1]) end
if version ~= tonumber(ARGV[1]) then
  if there[3] == ARGV[2] then return 1 end
  return 0
end
redis.call('HSET', KEYS[1], 'version', version + 1, 'end', ARGV[3], 'flow', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
local line, other = KEYS[2], KEYS[3]
if ARGV[6] == '1' then line, other = other, line end
redis.call('ZREM', other, KEYS[1])
redis.call('ZADD', line, 'NX', now, KEYS[1])
redis.call('PEXPIRE', line, math.ceil(life / 1000))
redis.call('ZREMRANGEBYSCORE', line, '-inf', '(' .. string.format('%.0f', now - life))
while redis.call('ZCARD', line) > tonumber(ARGV[8]) do
  redis.call('DEL', redis.call('ZPOPMIN', line)[1])
end
return 1`)

// PutFlow implements flow.Store.
func (s *Store) PutFlow(ctx context.Context, f flow.Flow) error {
	old := f.Version
	f.Version++
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return err
	}
	if b.Len() > flow.MaxSize {
		return flow.ErrTooLarge
	}
	now := s.Clock.Now()
	ttl := min(f.ExpiresAt.Sub(now), flow.Lifetime)
	end := now.Add(ttl)
	sealed, err := s.pack(kindFlow, f.ID, b.Bytes(), end)
	if err != nil {
		return err
	}
	proven := 0
	if f.Proven() {
		proven = 1
	}
	ctx, cancel := redisdb.Within(ctx)
	defer cancel()
	kept, err := putFlow.Run(ctx, s.db, s.flowKeys(f.ID), old, sealed, end.UnixMicro(), now.UnixMicro(), max(ttl, time.Millisecond).Milliseconds(),
		proven, flow.Lifetime.Microseconds(), lineLength).Bool()
	if err == nil && !kept {
		return flow.ErrStale
	}
	return s.fault("put", err)
}

// GetFlow implements flow.Store.
func (s *Store) GetFlow(ctx context.Context, id string) (f flow.Flow, err error) {
	ctx, cancel := redisdb.Within(ctx)
	defer cancel()
	sealed, err := s.db.HGet(ctx, s.flowKeys(id)[0], "flow").Bytes()
	if errors.Is(err, redis.Nil) {
		return f, flow.ErrNotFound
	}
	if err != nil {
		return f, s.fault("get", err)
	}
	b, ok := s.unpack(kindFlow, id, sealed)
	if !ok {
		return f, flow.ErrNotFound
	}
	return f, json.Unmarshal(b, &f)
}

var deleteFlow = redis.NewScript(`
redis.call('ZREM', KEYS[2], KEYS[1])
redis.call('ZREM', KEYS[3], KEYS[1])
return redis.call('DEL', KEYS[1])`)

// DeleteFlow implements flow.Store.
func (s *Store) DeleteFlow(ctx context.Context, id string) error {
	ctx, cancel := redisdb.Within(ctx)
	defer cancel()
	return s.fault("delete", deleteFlow.Run(ctx, s.db, s.flowKeys(id)).Err())
}
