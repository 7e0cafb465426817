package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"ellis.example/deploy/internal/faultproxy"
)

// fault is one way in which something breaks.
type fault struct {
	name    string
	store   string        // where it can be had; "": everywhere
	deaf    bool          // the case API may not hear the provider meanwhile
	recover time.Duration // from its end to the first success, at most
	// happen breaks something while the load goes on, and mends it.
	happen func(context.Context, *system, *dice) error
}

func pause(choice *dice, least, most time.Duration) {
	time.Sleep(least + time.Duration(choice.roll(int(most-least))))
}

// faults are all that are known.
func faults() []fault {
	const quick = 4 * time.Second // twice what is promised: driver, services and databases share the cores here
	return []fault{
		{name: "kill", deaf: true, recover: quick, happen: kill},
		{name: "restart", deaf: true, recover: quick, happen: restart},
		{name: "case API killed", recover: quick, happen: killCases},
		{name: "lost answers", deaf: true, recover: quick, happen: loseAnswers},
		{name: "severed connections", deaf: true, recover: quick, happen: sever},
		{name: "slow network", deaf: true, recover: quick, happen: slow},
		{name: "emergency rotation", recover: quick, happen: rotate},
		{name: "database crash", store: postgres, deaf: true, recover: quick, happen: crashDatabase},
		{name: "database unreachable", store: postgres, deaf: true, recover: quick, happen: cutDatabase},
		{name: "database silent", store: postgres, deaf: true, recover: 15 * time.Second, happen: silenceDatabase},
		{name: "database read-only", store: postgres, deaf: true, recover: quick, happen: readOnly},
		{name: "locked table", store: postgres, deaf: true, recover: quick, happen: lockTable},
		{name: "redis flushed", store: postgres, recover: quick, happen: flush},
		{name: "redis crash", store: postgres, recover: quick, happen: crashRedis},
		{name: "redis stopped", store: postgres, recover: quick, happen: stopRedis},
	}
}

func kill(ctx context.Context, s *system, _ *dice) error {
	s.idp.Kill()
	return s.start(ctx)
}

func killCases(ctx context.Context, s *system, _ *dice) error {
	s.cases.Kill()
	return s.startCases(ctx)
}

// restart ends the provider in order.
func restart(ctx context.Context, s *system, _ *dice) error {
	if err := syscall.Kill(s.idp.Pid, syscall.SIGTERM); err != nil {
		return err
	}
	for syscall.Kill(s.idp.Pid, 0) == nil {
		time.Sleep(10 * time.Millisecond)
	}
	return s.start(ctx)
}

func loseAnswers(_ context.Context, s *system, choice *dice) error {
	for range 4 {
		s.front.Lose(1 + choice.roll(3))
		pause(choice, 100*time.Millisecond, 400*time.Millisecond)
	}
	s.front.Lose(0)
	return nil
}

func sever(_ context.Context, s *system, choice *dice) error {
	for range 5 {
		s.front.Sever()
		pause(choice, 50*time.Millisecond, 300*time.Millisecond)
	}
	return nil
}

func slow(_ context.Context, s *system, choice *dice) error {
	s.front.Set(faultproxy.Fault{Connect: 50 * time.Millisecond, Delay: 20 * time.Millisecond, Rate: 64 << 10})
	pause(choice, time.Second, 2*time.Second)
	s.front.Set(faultproxy.Fault{})
	return nil
}

func rotate(ctx context.Context, s *system, _ *dice) error {
	return s.command(ctx, "keys", "rotate", "--alg", "ES256", "--emergency")
}

func crashDatabase(ctx context.Context, s *system, choice *dice) error {
	if err := s.pg.Kill(); err != nil {
		return err
	}
	pause(choice, 0, time.Second)
	return s.pg.Start(ctx)
}

func cutDatabase(_ context.Context, s *system, choice *dice) error {
	s.db.Set(faultproxy.Fault{Refuse: true})
	s.db.Sever()
	pause(choice, time.Second, 2*time.Second)
	s.db.Set(faultproxy.Fault{})
	return nil
}

func silenceDatabase(_ context.Context, s *system, choice *dice) error {
	s.db.Set(faultproxy.Fault{Hang: true})
	pause(choice, time.Second, 3*time.Second)
	s.db.Set(faultproxy.Fault{})
	return nil
}

func readOnly(ctx context.Context, s *system, choice *dice) error {
	for _, value := range []string{"on", "off"} {
		for _, statement := range []string{"ALTER SYSTEM SET default_transaction_read_only = " + value, "SELECT pg_reload_conf()"} {
			if _, err := s.pg.SQL(ctx, "postgres", statement); err != nil {
				return err
			}
		}
		if value == "on" {
			pause(choice, time.Second, 2*time.Second)
		}
	}
	return nil
}

func lockTable(ctx context.Context, s *system, choice *dice) error {
	table := []string{"refresh_tokens", "grants", "families", "audit_events", "spent", "access_tokens"}[choice.roll(6)]
	_, err := s.pg.SQL(ctx, "idp", fmt.Sprintf("LOCK TABLE %s; SELECT pg_sleep(1.5)", table)) // one call is one transaction
	return err
}

func flush(ctx context.Context, s *system, choice *dice) error {
	for range 3 {
		if _, err := s.redis.Do(ctx, "FLUSHALL"); err != nil {
			return err
		}
		pause(choice, 50*time.Millisecond, 400*time.Millisecond)
	}
	return nil
}

func crashRedis(ctx context.Context, s *system, choice *dice) error {
	if err := s.redis.Kill(); err != nil {
		return err
	}
	pause(choice, 200*time.Millisecond, time.Second)
	return s.redis.Start(ctx)
}

func stopRedis(_ context.Context, s *system, choice *dice) error {
	p, err := os.FindProcess(s.redis.Pid())
	if err != nil {
		return err
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	pause(choice, time.Second, 2*time.Second)
	return p.Signal(syscall.SIGCONT)
}
