package main

import (
	"context"
	"time"

	"ellis.example/idp/internal/background"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/pages"
	"ellis.example/idp/internal/store/memstore"
	"ellis.example/idp/internal/store/redisstore"
	"ellis.example/idp/internal/store/redisstore/redisdb"
	"ellis.example/idp/internal/throttle"
)

// redisEvery is how often Redis is looked at: one that was replaced may forget what the last one kept.
const redisEvery = 5 * time.Second

// volatileStore keeps what may be lost at the cost of one retry.
type volatileStore interface {
	flow.Store
	grant.CodeStore
	pages.Volatile
	throttle.Rates
}

// openVolatile chooses where that is kept: in Redis for all replicas, or in this process.
func (p *provider) openVolatile(ctx context.Context) (err error) {
	local := memstore.New(p.clock)
	failures := countBy(p.metrics, "idp_redis_failures_total", "Operations that Redis did not carry out, by operation; rate_alone: requests that this replica counted by itself.", "what")
	if p.volatile = local; p.redis.URL == "" {
		return nil
	}
	key, err := p.ring.Secret("volatile")
	if err != nil {
		return err
	}
	if p.redisDB, err = redisdb.Open(ctx, p.redis, p.log); err != nil {
		return err
	}
	p.volatile, err = redisstore.New(p.redisDB, redisstore.Options{Key: key, Clock: p.clock, Local: local, Observe: failures})
	return err
}

// redisJobs look after the connection.
func (p *provider) redisJobs() []background.Job {
	if p.redisDB == nil {
		return nil
	}
	return []background.Job{{Name: "redis", Every: redisEvery, Do: p.redisDB.Check}}
}

// redisProblem is what is wrong with Redis, or "".
func (p *provider) redisProblem(ctx context.Context) string {
	if p.redisDB == nil {
		return ""
	}
	return p.redisDB.Problem(ctx)
}

// closeVolatile ends the connection to Redis.
func (p *provider) closeVolatile() error {
	if p.redisDB == nil {
		return nil
	}
	return p.redisDB.Close()
}
