package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/seed"
	"ellis.example/deploy/internal/servers"
)

// redisFaults are those of Redis behind its sentinels, or as a Cluster. Writes that need none of it go on meanwhile, so a sign-in that begins is the
// proof that it is over.
func redisFaults(store string) []fault {
	return []fault{
		{name: "redis flushed", store: store, recover: quick, proof: opBegin, happen: flush},
		{name: "redis crash", store: store, recover: 10 * time.Second, proof: opBegin, happen: crashRedis},
		{name: "redis failover", store: store, recover: 10 * time.Second, proof: opBegin, happen: failOverRedis},
		{name: "redis stopped", store: store, recover: 10 * time.Second, proof: opBegin, happen: stopRedis(4 * time.Second)},
		{name: "redis stopped for long", store: store, long: true, recover: 10 * time.Second, proof: opBegin, happen: stopRedis(20 * time.Second)},
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
	r.broke = time.Now()
	r.begin(ctx)
	return nil
}

// opBegin is the beginning of a sign-in by somebody who is unknown yet.
const opBegin = "begin"

// inARow is how many sign-ins have to begin one after the other where each primary of a cluster has a third of them: fewer may
// all lie with the others.
const inARow = 12

// begin begins sign-ins until that goes well. What may be too long is for others to say.
func (r *run) begin(ctx context.Context) {
	c, want := newClient(), 1
	if r.sys.store == cluster {
		want = inARow
	}
	left := want
	for end := time.Now().Add(patience + answerTime); left > 0 && time.Now().Before(end) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		got := r.driver.do(ctx, c, record{Op: opBegin}, http.MethodGet, r.sys.issuer()+seed.NewAttempt().Target(""), nil, func(a agent.Answer, rec *record) string {
			switch {
			case strings.HasPrefix(a.Header.Get("Location"), seed.Redirect):
				rec.Err = "refused" // by an answer to the app
			case left > 1:
				rec.Err = "one of several"
			}
			return ""
		})
		if left--; !got.answered() || got.Err == "refused" {
			left = want
		}
	}
}

// wholePrimary waits until the set is whole, and returns its primary.
func (s *system) wholePrimary(ctx context.Context) (*servers.Redis, error) {
	if err := s.redis.Whole(ctx); err != nil {
		return nil, err
	}
	return s.redis.Primary(ctx)
}

// crashRedis ends the primary and starts it again, empty. The sentinels may find that too short to act.
func crashRedis(ctx context.Context, r *run, choice *dice) error {
	p, err := r.sys.wholePrimary(ctx)
	if err != nil {
		return err
	}
	if err := p.Kill(); err != nil {
		return err
	}
	pause(choice, 200*time.Millisecond, time.Second)
	if err := p.Start(ctx); err != nil {
		return err
	}
	r.broke = time.Now()
	r.begin(ctx)
	return nil
}

// failOverRedis ends the primary: another one takes its place, without the last writes, maybe.
func failOverRedis(ctx context.Context, r *run, choice *dice) error {
	p, err := r.sys.wholePrimary(ctx)
	if err != nil {
		return err
	}
	if err := p.Kill(); err != nil {
		return err
	}
	r.broke = time.Now()
	r.begin(ctx)
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
		p, err := r.sys.wholePrimary(ctx)
		if err != nil {
			return err
		}
		return stopped(p.Pid(), func() error {
			r.broke = time.Now()
			r.begin(ctx)
			err := r.sys.redis.After(ctx, p)
			r.replay(ctx, r.sys.issuer(), r.broke)
			time.Sleep(max(0, length-time.Since(r.broke)))
			return err
		})
	}
}
