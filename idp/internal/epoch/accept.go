package epoch

import (
	"context"
	"strconv"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/feed"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/witness"
)

// Store is what accepting reads.
type Store interface {
	Reader
	ReplayReader
}

// Keys are the signing keys.
type Keys interface {
	// Replacement returns what discards every signing key and makes new ones.
	Replacement(ctx context.Context) ([]unit.Write, error)
}

// Deps is what accepting a restored database stands on.
type Deps struct {
	Store  Store
	Commit unit.Committer
	Keys   Keys
	Clock  clock.Clock
}

// Request says how to accept.
type Request struct {
	Actor  string // for the audit
	Replay Replay // what the exported audit says; empty where there is none
	// Told is up to when records tell, and Read the export that was read: a restore of an older copy has to find what this one
	// knew. LostAt is when it was lost, where the operator said so.
	Told, LostAt time.Time
	Read         witness.Mark
	// Unknown is set where the export may lack something: unused recovery codes end.
	Unknown bool
	// Lock is set where accounts of which nobody can know are locked, rather than left as they were when the copy was made.
	Lock bool
}

// ErrMeanwhile is returned when somebody else accepted the database at the same moment.
var ErrMeanwhile = fault.New(fault.Conflict, "epoch_meanwhile", "somebody else has just accepted this database")

// Accept takes a restored database as the one that counts from now on: it raises the epoch, replaces every signing key, tells
// every API, and applies again what is known of the time that was lost, in one unit. Of several that try, one succeeds.
// Errors: ErrMeanwhile; those of the store.
func Accept(ctx context.Context, d Deps, q Request) (Epoch, error) {
	from, err := d.Store.Epoch(ctx)
	if err != nil {
		return Epoch{}, err
	}
	r := Raise{From: from.N, At: d.Clock.Now(), Unknown: q.Unknown, Lock: q.Lock}
	to := Epoch{N: from.N + 1, At: r.At}
	keys, err := d.Keys.Replacement(ctx)
	if err != nil {
		return Epoch{}, err
	}
	again, err := q.Replay.writes(ctx, d.Store, r)
	if err != nil {
		return Epoch{}, err
	}
	e := audit.Event{Type: typeRaised, Outcome: audit.Allowed, Actor: q.Actor, Detail: q.detail(to)}
	writes := append(append([]unit.Write{r}, keys...), again...)
	writes = append(writes, feed.NewEpoch(num(to.N)))
	err = d.Commit.Commit(ctx, unit.Unit{Writes: writes, Event: e})
	if unit.IsConflict(err) {
		return Epoch{}, ErrMeanwhile.Because(err)
	}
	return to, err
}

// detail is what the audit keeps of an acceptance.
func (q Request) detail(to Epoch) map[string]string {
	d := q.Replay.detail()
	d["epoch"], d["unknown"] = num(to.N), unknown(q)
	if !q.Told.IsZero() {
		d["known_until"] = q.Told.UTC().Format(time.RFC3339)
	}
	if !q.LostAt.IsZero() {
		d["lost_at"] = q.LostAt.UTC().Format(time.RFC3339)
	}
	if q.Read != (witness.Mark{}) {
		d["export"] = q.Read.String()
	}
	return d
}

// nothingUnknown is what unknown says where the export told all.
const nothingUnknown = "none"

// unknown says what became of accounts that nobody can know of.
func unknown(q Request) string {
	switch {
	case q.Lock:
		return "locked"
	case q.Unknown:
		return "kept"
	}
	return nothingUnknown
}

func num(n int64) string { return strconv.FormatInt(n, 10) }
