package main

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"ellis.example/deploy/internal/faultproxy"
	"ellis.example/deploy/internal/seed"
)

// fault is one way in which something breaks.
type fault struct {
	name    string
	store   string        // where it can be had; "": over SQLite and over PostgreSQL
	long    bool          // it takes too long for the short form
	once    bool          // the short form has it over SQLite alone: it is the same everywhere
	ends    bool          // it ends processes of the services, and what they held with them
	deaf    bool          // the case API may not hear the provider meanwhile
	recover time.Duration // from its end to the first success, at most; from its beginning, where nobody mends it
	proof   string        // what has to go well then; "": any write
	// spared is from when on after its beginning no request may fail; 0: there is no such promise.
	spared time.Duration
	// happen breaks something while the load goes on, and mends it, or notes in r.broke when it was broken.
	happen func(ctx context.Context, r *run, choice *dice) error
}

const (
	quick  = 4 * time.Second // twice what is promised: driver, services and databases share the cores here
	unfelt = 1               // spared: from the beginning on
)

// of returns the faults of a system over a store: those first that end processes, so that the others show what is never let go
// of. long: those that take long, too.
func of(store string, long bool) (out []fault) {
	for _, f := range faults() {
		here := f.store == store || (f.store == "" && (store == sqlite || store == postgres))
		if here && (long || (!f.long && (!f.once || store == sqlite))) {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b fault) int {
		switch {
		case a.ends == b.ends:
			return 0
		case a.ends:
			return -1
		}
		return 1
	})
	return out
}

func pause(choice *dice, least, most time.Duration) {
	time.Sleep(least + time.Duration(choice.roll(int(most-least))))
}

// faults are all that are known.
func faults() []fault {
	return slices.Concat([]fault{
		{name: "kill", ends: true, deaf: true, recover: quick, happen: kill},
		{name: "restart", store: sqlite, ends: true, deaf: true, recover: quick, happen: restart},
		{name: "case API killed", ends: true, recover: quick, happen: killCases},
		{name: "lost answers", deaf: true, recover: quick, happen: loseAnswers},
		{name: "severed connections", once: true, deaf: true, recover: quick, happen: sever},
		{name: "slow network", once: true, deaf: true, recover: quick, happen: slow},
		{name: "emergency rotation", recover: quick, happen: rotate},
	}, replicaFaults(), databaseFaults(), redisFaults(postgres), redisFaults(cluster), diskFaults(), logFaults(), mailFaults())
}

func kill(ctx context.Context, r *run, _ *dice) error {
	r.sys.idp.killAll()
	return r.sys.idp.startAll(ctx)
}

func killCases(ctx context.Context, r *run, _ *dice) error {
	r.sys.cases.killAll()
	return r.sys.cases.startAll(ctx)
}

// restart ends the provider in order, of which there is one.
func restart(ctx context.Context, r *run, _ *dice) error {
	return r.sys.idp.restart(ctx, 0)
}

func loseAnswers(_ context.Context, r *run, choice *dice) error {
	for range 4 {
		r.sys.idp.front.Lose(1 + choice.roll(3))
		r.sys.cases.front.Lose(choice.roll(2))
		pause(choice, 100*time.Millisecond, 400*time.Millisecond)
	}
	r.sys.idp.front.Lose(0)
	r.sys.cases.front.Lose(0)
	return nil
}

func sever(_ context.Context, r *run, choice *dice) error {
	for range 5 {
		r.sys.idp.front.Sever()
		r.sys.cases.front.Sever()
		pause(choice, 50*time.Millisecond, 300*time.Millisecond)
	}
	return nil
}

func slow(_ context.Context, r *run, choice *dice) error {
	r.sys.idp.front.Set(faultproxy.Fault{Connect: 50 * time.Millisecond, Delay: 20 * time.Millisecond, Rate: 64 << 10})
	pause(choice, time.Second, 2*time.Second)
	r.sys.idp.front.Set(faultproxy.Fault{})
	return nil
}

var errUnused = errors.New("the keys were discarded, and there was no token to show after it")

// rotate discards the keys that sign tokens, as after a leak, and then shows the last tokens that they signed.
func rotate(ctx context.Context, r *run, _ *dice) error {
	began, tokens := time.Now(), r.driver.lastSpent()
	if err := r.sys.command(ctx, "keys", "rotate", "--alg", "ES256", "--emergency"); err != nil {
		return err
	}
	r.broke = time.Now()
	r.leaked = append(r.leaked, span{began, r.broke})
	if err := wait(ctx, reach+50*time.Millisecond); err != nil {
		return err
	}
	c, shown := newClient(), 0
	for _, p := range r.sys.people {
		for _, s := range tokens {
			if s.who == p.Email && s.access != "" {
				r.driver.readCase(ctx, c, &person{Account: seed.Account{Email: p.Email}, caseID: p.caseID}, s.access)
				shown++
			}
		}
	}
	if shown == 0 {
		return errUnused
	}
	return nil
}

// stopped lets a process stand still for a time: it keeps its connections, and answers nothing.
func stopped(pid int, meanwhile func() error) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	err := meanwhile()
	if again := syscall.Kill(pid, syscall.SIGCONT); again != nil {
		return again
	}
	return err
}
