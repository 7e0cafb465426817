package main

import (
	"context"
	"time"
)

// redisFaults are those of Redis behind its sentinels. Writes that need none of it go on meanwhile, so a redeemed code is the
// proof that it is over.
func redisFaults() []fault {
	return []fault{
		{name: "redis flushed", store: postgres, recover: quick, proof: opRedeem, happen: flush},
		{name: "redis crash", store: postgres, recover: 10 * time.Second, proof: opRedeem, happen: crashRedis},
		{name: "redis failover", store: postgres, recover: 10 * time.Second, proof: opRedeem, happen: failOverRedis},
		{name: "redis stopped", store: postgres, recover: 10 * time.Second, proof: opRedeem, happen: stopRedis(4 * time.Second)},
		{name: "redis stopped for long", store: postgres, long: true, recover: 10 * time.Second, proof: opRedeem, happen: stopRedis(20 * time.Second)},
	}
}

func flush(ctx context.Context, r *run, choice *dice) error {
	p, err := r.sys.redis.Primary(ctx)
	if err != nil {
		return err
	}
	for range 3 {
		if _, err := p.Do(ctx, "FLUSHALL"); err != nil {
			return err
		}
		r.replay(ctx, r.sys.issuer(), time.Now())
		pause(choice, 50*time.Millisecond, 400*time.Millisecond)
	}
	return nil
}

// crashRedis ends the primary and starts it again, empty. The sentinels may find that too short to act.
func crashRedis(ctx context.Context, r *run, choice *dice) error {
	if err := r.sys.redis.Whole(ctx); err != nil {
		return err
	}
	p, err := r.sys.redis.Primary(ctx)
	if err != nil {
		return err
	}
	if err := p.Kill(); err != nil {
		return err
	}
	pause(choice, 200*time.Millisecond, time.Second)
	return p.Start(ctx)
}

// failOverRedis ends the primary: another one takes its place, without the last writes, maybe.
func failOverRedis(ctx context.Context, r *run, choice *dice) error {
	if err := r.sys.redis.Whole(ctx); err != nil {
		return err
	}
	p, err := r.sys.redis.Primary(ctx)
	if err != nil {
		return err
	}
	if err := p.Kill(); err != nil {
		return err
	}
	r.broke = time.Now()
	if err := r.sys.redis.After(ctx, p); err != nil {
		return err
	}
	r.replay(ctx, r.sys.issuer(), r.broke)
	pause(choice, 0, time.Second)
	return p.Start(ctx)
}

// stopRedis lets the primary stand still until another one has long taken its place. Then it is back, and takes itself for the
// primary until it is told.
func stopRedis(length time.Duration) func(context.Context, *run, *dice) error {
	return func(ctx context.Context, r *run, _ *dice) error {
		if err := r.sys.redis.Whole(ctx); err != nil {
			return err
		}
		p, err := r.sys.redis.Primary(ctx)
		if err != nil {
			return err
		}
		return stopped(p.Pid(), func() error {
			r.broke = time.Now()
			err := r.sys.redis.After(ctx, p)
			r.replay(ctx, r.sys.issuer(), r.broke)
			time.Sleep(max(0, length-time.Since(r.broke)))
			return err
		})
	}
}
