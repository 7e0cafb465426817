package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"ellis.example/idp/internal/sqldb"
)

// sweep deletes a bounded number of rows that nothing will ask for again. The first placeholder is the present time in
// microseconds, the second the most rows to delete.
type sweep string

const sweepRows = 500

// The clock alone does not say what may go: it may be wrong by years for a minute, and what was spent, revoked or counted
// would be forgotten when it is right again. The time up to which is swept stays behind the clock and runs hardly faster
// than real time, whatever the clock does.
const (
	sweepLag  = time.Hour
	sweepStep = 75 * time.Second // of one turn; a turn is a minute
)

// sweptKind marks the one row of spent that is no tombstone: its until is the time up to which was swept.
const sweptKind = "swept"

var sweptKey = make([]byte, 32)

func coreSweeps() []sweep {
	return []sweep{`DELETE FROM spent WHERE (kind, key) IN (SELECT kind, key FROM spent WHERE until < ? AND kind <> '` + sweptKind + `' LIMIT ?)`}
}

// sweeps lists what every owner leaves behind.
var sweeps = slices.Concat(
	coreSweeps(), accountSweeps(), grantSweeps(), throttleSweeps(), sessionSweeps(), outboxSweeps(), feedSweeps(), replicaSweeps(),
)

// SweepOn is one turn of sweeping at now, and returns how many rows went.
func (s *Store) SweepOn(ctx context.Context, now time.Time) (int64, error) {
	var to int64
	err := s.maintain(ctx, func(t *sqldb.Tx) error {
		err := t.Row(`SELECT until FROM spent WHERE kind = ? AND key = ?`, sweptKind, sweptKey).Scan(&to)
		switch goal := micros(now.Add(-sweepLag)); {
		case errors.Is(err, sql.ErrNoRows):
			to = goal
		case err != nil:
			return err
		default:
			to = max(to, min(goal, to+sweepStep.Microseconds()))
		}
		err = t.Run(`INSERT INTO spent (kind, key, ref, until) VALUES (?,?,'',?) ON CONFLICT (kind, key) DO UPDATE SET until = excluded.until WHERE spent.until < excluded.until`, sweptKind, sweptKey, to)
		return err
	})
	if err != nil {
		return 0, err
	}
	return s.Sweep(ctx, timeOf(to))
}

// SweptTo implements unit.SpentReader.
func (s *Store) SweptTo(ctx context.Context) (time.Time, error) {
	var to int64
	if err := s.db.Row(ctx, `SELECT until FROM spent WHERE kind = ? AND key = ?`, sweptKind, sweptKey).Scan(&to); err != nil {
		return time.Time{}, sqldb.Or(err, nil)
	}
	return timeOf(to), nil
}

// Sweep deletes what has expired at now, in small transactions between those of requests, and returns how many rows went.
// Nothing depends on it: what has expired is refused whether it was swept or not.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int64, error) {
	var total int64
	for _, q := range sweeps {
		for {
			var n int64
			err := s.maintain(ctx, func(t *sqldb.Tx) (err error) {
				n, err = t.Exec(string(q), micros(now), sweepRows)
				return err
			})
			total += n
			if err != nil {
				return total, err
			}
			if n < sweepRows {
				break
			}
		}
	}
	return total, nil
}
