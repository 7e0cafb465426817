package redisstore_test

import (
	"os"
	"strings"
	"testing"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/rate"
	"ellis.example/idp/internal/store/redisstore"
	"ellis.example/idp/internal/store/redisstore/redistest"
	"ellis.example/idp/internal/store/storetest"
)

// documented is the access list of docs/operations/redis.md.
const documented = "user idp on >PASSWORD resetkeys ~idp:* resetchannels -@all +hello +auth +select +ping +info +time +eval +evalsha +get +set +del +hget +hmget +hset +pexpire +zadd +zrem +zremrangebyscore +zcard +zpopmin"

func TestContract_UnderTheDocumentedAccessList(t *testing.T) {
	t.Parallel()
	if text, err := os.ReadFile("../../../../docs/operations/redis.md"); err != nil {
		t.Log("the documentation is not beside this module: nothing to compare with")
	} else if !strings.Contains(string(text), documented+"\n") {
		t.Error("the documentation says otherwise")
	}
	srv := redistest.Own(t)
	args := []any{"ACL", "SETUSER"}
	for _, word := range strings.Fields(documented)[1:] {
		args = append(args, word)
	}
	if _, err := srv.Do(args...); err != nil {
		t.Fatal(err)
	}
	url := "redis://idp:PASSWORD@" + srv.Addr()
	t.Run("contract", func(t *testing.T) {
		open := func(t *testing.T, c clock.Clock) *redisstore.Store {
			return store(t, url, newKey(), c, func(o *redisstore.Options) { o.Observe = func(what string) { t.Error(what, "failed") } })
		}
		t.Run("volatile", func(t *testing.T) { t.Parallel(); storetest.Volatile(t, open) })
		t.Run("rates", func(t *testing.T) { t.Parallel(); storetest.Rates(t, open) })
	})
	own := store(t, url, newKey(), clock.System{}, func(o *redisstore.Options) {
		o.RateClock, o.Observe = nil, func(what string) { t.Error(what, "failed") }
	})
	if _, _, err := own.Allow(t.Context(), "a", rate.PerHour(1)); err != nil {
		t.Error(err)
	}
}
