package main

import (
	"context"
	"errors"
	"time"

	"ellis.example/deploy/internal/seed"
)

// noticed is how long after the end of a replica the balancer may send it requests.
const noticed = 1500 * time.Millisecond

// replicaFaults are those of one of several replicas.
func replicaFaults() []fault {
	return []fault{
		{name: "provider replica killed", store: postgres, ends: true, deaf: true, recover: quick, spared: noticed, happen: killOne(func(s *system) *service { return s.idp })},
		{name: "case API replica killed", store: postgres, ends: true, recover: quick, spared: noticed, happen: killOne(func(s *system) *service { return s.cases })},
		{name: "rolling restart", store: postgres, ends: true, deaf: true, recover: quick, spared: unfelt, happen: roll},
		{name: "provider replica stopped", store: postgres, deaf: true, recover: quick, spared: 2 * noticed, happen: stopLeader},
	}
}

// killOne ends one replica as a crash would. The others go on.
func killOne(of func(*system) *service) func(context.Context, *run, *dice) error {
	return func(ctx context.Context, r *run, choice *dice) error {
		s := of(r.sys)
		i := choice.roll(len(s.procs))
		r.broke = time.Now()
		s.procs[i].Kill()
		pause(choice, time.Second, 2*time.Second)
		return s.start(ctx, i)
	}
}

// roll restarts every replica of both services in turn: nobody notices.
func roll(ctx context.Context, r *run, _ *dice) error {
	r.broke = time.Now()
	for _, s := range []*service{r.sys.idp, r.sys.cases} {
		for i := range s.procs {
			if err := s.restart(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// lease is after how long others take over from a replica that leads and says nothing.
const lease = 12 * time.Second

// stopLeader lets the replica that leads stand still until another one leads. Back again, it is asked at once for what was revoked
// meanwhile, and of both only one leads.
func stopLeader(ctx context.Context, r *run, _ *dice) error {
	s, nobody := r.sys.idp, -1
	i, err := s.leader(ctx, nobody, 2*lease)
	if err != nil {
		return err
	}
	from := r.driver.ledger.len()
	if err := stopped(s.procs[i].Pid, func() error {
		r.broke = time.Now()
		time.Sleep(noticed)
		s.front.Sever() // clients give up on it: those who ask again are served
		_, err := s.leader(ctx, i, 2*lease)
		return err
	}); err != nil {
		return err
	}
	r.wake(ctx, "http://"+s.specs[i].At, from)
	_, err = s.leader(ctx, nobody, lease)
	return err
}

var errNoLeader = errors.New("there is not one replica that leads")

// leader waits until exactly one replica leads, by what their metrics say, and returns it. One of them is not asked.
func (s *service) leader(ctx context.Context, but int, patience time.Duration) (int, error) {
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		var leads []int
		for i, spec := range s.specs {
			if i == but {
				continue
			}
			n, err := spec.Metric(ctx, "idp_leader")
			if err != nil {
				return 0, err
			}
			if n == 1 {
				leads = append(leads, i)
			}
		}
		if len(leads) == 1 {
			return leads[0], nil
		}
	}
	return 0, errors.Join(errNoLeader, ctx.Err())
}

// wake asks a replica for what was revoked since from, and shows it codes that were spent: the oracle sees whether it gave any.
func (r *run) wake(ctx context.Context, base string, from int) {
	c := newClient()
	for _, rec := range r.driver.ledger.since(from) {
		if rec.Op == opRevoke && rec.answered() {
			r.again(ctx, c, base, record{Op: opRefresh, Who: rec.Who, Shown: rec.Shown}, seed.Renew(rec.Shown))
		}
	}
	r.replay(ctx, base, time.Now())
}
