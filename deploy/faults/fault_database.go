package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ellis.example/deploy/internal/faultproxy"
)

// databaseFaults are those of PostgreSQL.
func databaseFaults() []fault {
	return []fault{
		{name: "database crash", store: postgres, deaf: true, recover: quick, happen: crashDatabase},
		{name: "database unreachable", store: postgres, deaf: true, recover: quick, happen: cutDatabase},
		{name: "database silent", store: postgres, deaf: true, recover: 15 * time.Second, happen: silenceDatabase},
		{name: "database read-only", store: postgres, deaf: true, recover: quick, happen: readOnly},
		{name: "locked table", store: postgres, deaf: true, recover: quick, happen: lockTable},
		{name: "standby away", store: postgres, deaf: true, recover: quick, happen: loseStandby},
		{name: "database failover", store: postgres, deaf: true, recover: failOverTime, happen: failOver},
		{name: "database machine gone", store: postgres, deaf: true, recover: failOverTime, happen: loseMachine},
	}
}

// failOverTime is how soon requests go well again after the loss of the primary, with the promotion of its standby.
const failOverTime = 15 * time.Second

// doorsAre puts a fault in force between the services and both servers.
func (s *system) doorsAre(f faultproxy.Fault) {
	for _, d := range s.doors {
		d.Set(f)
		if f.Refuse {
			d.Sever()
		}
	}
}

func crashDatabase(ctx context.Context, r *run, choice *dice) error {
	p := r.sys.pg.Primary()
	if err := p.Kill(); err != nil {
		return err
	}
	pause(choice, 0, time.Second)
	return p.Start(ctx)
}

func cutDatabase(_ context.Context, r *run, choice *dice) error {
	r.sys.doorsAre(faultproxy.Fault{Refuse: true})
	pause(choice, time.Second, 2*time.Second)
	r.sys.doorsAre(faultproxy.Fault{})
	return nil
}

func silenceDatabase(_ context.Context, r *run, choice *dice) error {
	r.sys.doorsAre(faultproxy.Fault{Hang: true})
	pause(choice, time.Second, 3*time.Second)
	r.sys.doorsAre(faultproxy.Fault{})
	return nil
}

var errWritten = errors.New("the database took no writes, and nothing was refused")

// readOnly lets the database take no writes until one was refused, and a little longer.
func readOnly(ctx context.Context, r *run, choice *dice) error {
	from := r.driver.ledger.len()
	if err := r.writable(ctx, "off"); err != nil {
		return err
	}
	refused := r.refusal(ctx, from, record.writes)
	pause(choice, 500*time.Millisecond, 1500*time.Millisecond)
	if err := r.writable(ctx, "on"); err != nil {
		return err
	}
	if !refused {
		return errWritten
	}
	return nil
}

// writable says whether the primary takes writes: on or off.
func (r *run) writable(ctx context.Context, value string) error {
	readOnly := map[string]string{"on": "off", "off": "on"}[value]
	for _, statement := range []string{"ALTER SYSTEM SET default_transaction_read_only = " + readOnly, "SELECT pg_reload_conf()"} {
		if _, err := r.sys.pg.Primary().SQL(ctx, "postgres", statement); err != nil {
			return err
		}
	}
	return nil
}

func lockTable(ctx context.Context, r *run, choice *dice) error {
	table := []string{"refresh_tokens", "grants", "families", "audit_events", "spent", "access_tokens"}[choice.roll(6)]
	_, err := r.sys.pg.Primary().SQL(ctx, "idp", fmt.Sprintf("LOCK TABLE %s; SELECT pg_sleep(1.5)", table)) // one call is one transaction
	return err
}

// loseStandby ends the server that has to confirm every commit: nothing may be answered until it is back.
func loseStandby(ctx context.Context, r *run, choice *dice) error {
	p, from := r.sys.pg.Standby(), r.driver.ledger.len()
	if err := p.Kill(); err != nil {
		return err
	}
	gone := time.Now()
	pause(choice, time.Second, 2*time.Second)
	back := time.Now()
	if err := p.Start(ctx); err != nil {
		return err
	}
	r.found = append(r.found, unconfirmed(r.driver.ledger.since(from), span{gone, back})...)
	return nil
}

// unconfirmed finds what was written and answered within a time in which no standby could confirm it (L1).
func unconfirmed(records []record, alone span) (out []breach) {
	for _, rec := range records {
		if rec.writes() && rec.answered() && rec.Began.After(alone.from) && rec.Ended.Before(alone.to) {
			out = append(out, breach{"L1", rec.N, fmt.Sprintf("%s was answered although the standby was away", rec.Op)})
		}
	}
	return out
}

// failOver ends the primary and lets the standby take its place, as a cluster manager would. The services find it by
// themselves. A new standby is there for the next time.
func failOver(ctx context.Context, r *run, choice *dice) error {
	if err := r.sys.pg.Primary().Kill(); err != nil {
		return err
	}
	r.broke = time.Now()
	pause(choice, 0, time.Second) // until it is noticed
	if err := r.sys.pg.Promote(ctx); err != nil {
		return err
	}
	pause(choice, time.Second, 2*time.Second)
	return r.sys.pg.Rebuild(ctx)
}

// loseMachine is a failover after which nothing says that the old primary is gone: connections to it stay as they are, and new
// ones are not answered.
func loseMachine(ctx context.Context, r *run, choice *dice) (err error) {
	pg, from := r.sys.pg, r.driver.ledger.len()
	door := r.sys.doors[0]
	if _, second := pg.Ports(); pg.Primary().Port == second {
		door = r.sys.doors[1]
	}
	door.Set(faultproxy.Fault{Hang: true})
	defer door.Set(faultproxy.Fault{})
	r.broke = time.Now()
	if err := pg.Primary().Kill(); err != nil {
		return err
	}
	pause(choice, 0, time.Second) // until it is noticed
	if err := pg.Promote(ctx); err != nil {
		return err
	}
	if _, err := r.success(ctx, fault{recover: failOverTime}, from); err != nil {
		return err
	}
	return pg.Rebuild(ctx)
}
