package servers

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Pair is a PostgreSQL primary with a synchronous standby: what it answered outlives either of them. Its methods are not for
// concurrent use.
type Pair struct {
	nodes   [2]*Postgres
	primary int
}

// StartPair makes a primary and a standby that follows it. settings are name=value, of both.
func StartPair(ctx context.Context, settings ...string) (p *Pair, err error) {
	return StartPairIn(ctx, "", settings...)
}

// StartPairIn makes both in a folder; empty: somewhere. Where the folder is named, it may have little room: the log is written
// in pieces of 1 MB.
func StartPairIn(ctx context.Context, folder string, settings ...string) (p *Pair, err error) {
	// A standby that lost its primary looks for it again soon, and finds what it missed meanwhile.
	settings = append([]string{"wal_retrieve_retry_interval=200ms", "wal_keep_size=256MB"}, settings...)
	p = &Pair{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop())
		}
	}()
	if p.nodes[0], err = startPostgresIn(ctx, folder, settings); err != nil {
		return p, err
	}
	if p.nodes[1], err = p.nodes[0].Standby(ctx); err != nil {
		return p, err
	}
	return p, p.wait(ctx)
}

// Primary is the one that takes writes, or did when it was last alive.
func (p *Pair) Primary() *Postgres { return p.nodes[p.primary] }

// Standby is the other one.
func (p *Pair) Standby() *Postgres { return p.nodes[1-p.primary] }

// Ports are those of both; they stay, whoever is primary.
func (p *Pair) Ports() (first, second int) { return p.nodes[0].Port, p.nodes[1].Port }

// DSN names a database of whichever of both takes writes.
func (p *Pair) DSN(name string) string {
	return PairDSN(name, loopback(p.nodes[0]), loopback(p.nodes[1]))
}

func loopback(p *Postgres) string { return fmt.Sprintf("127.0.0.1:%d", p.Port) }

// PairDSN names a database that is reached at either address: at the one whose server takes writes.
func PairDSN(name, first, second string) string {
	return fmt.Sprintf("postgres://%s@%s,%s/%s?sslmode=disable&target_session_attrs=read-write", superuser, first, second, name)
}

// Promote makes the standby the primary. It waits for nobody's confirmation until Rebuild gave it a standby of its own. The
// primary before has to be gone: nothing else keeps both from taking writes.
func (p *Pair) Promote(ctx context.Context) error {
	if err := p.Standby().Promote(ctx); err != nil {
		return err
	}
	p.primary = 1 - p.primary
	return nil
}

// Rebuild makes a new standby in place of the server that is no primary, at the same port.
func (p *Pair) Rebuild(ctx context.Context) error {
	if err := p.Standby().follow(ctx, p.Primary()); err != nil {
		return err
	}
	return p.wait(ctx)
}

// Revive starts again whichever of both has ended, or is about to, and returns when both answer.
func (p *Pair) Revive(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	for _, n := range p.nodes {
		for {
			if n.Ended() {
				if err := n.Start(ctx); err != nil {
					return err
				}
			}
			_, err := n.SQL(ctx, "postgres", "SELECT 1")
			if err == nil {
				break
			}
			select { // one that is about to end has not yet
			case <-ctx.Done():
				return err
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

// wait makes commits of the primary wait for the standby. The standby itself is told nothing of it: it got its settings before.
func (p *Pair) wait(ctx context.Context) error {
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '" + standbyName + "'", "SELECT pg_reload_conf()"} {
		if _, err := p.Primary().SQL(ctx, "postgres", statement); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends both and removes their data.
func (p *Pair) Stop() (err error) {
	for _, n := range p.nodes {
		if n != nil {
			err = errors.Join(err, n.Stop())
		}
	}
	return err
}
