package sqlstore

import (
	"context"
	"slices"
	"time"

	"ellis.example/idp/internal/sqldb"
)

// sweep deletes a bounded number of rows that nothing will ask for again. The first placeholder is the present time in
// microseconds, the second the most rows to delete.
type sweep string

const sweepRows = 500

func coreSweeps() []sweep {
	return []sweep{`DELETE FROM spent WHERE (kind, key) IN (SELECT kind, key FROM spent WHERE until < ? LIMIT ?)`}
}

// sweeps lists what every owner leaves behind.
var sweeps = slices.Concat(
	coreSweeps(), accountSweeps(), grantSweeps(), throttleSweeps(), sessionSweeps(), outboxSweeps(),
)

// Sweep deletes what has expired at now, in small transactions between those of requests, and returns how many rows went.
// Nothing depends on it: what has expired is refused whether it was swept or not.
func (s *Store) Sweep(ctx context.Context, now time.Time) (int64, error) {
	var total int64
	for _, q := range sweeps {
		for {
			var n int64
			err := s.db.Maintain(ctx, func(t *sqldb.Tx) (err error) {
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
