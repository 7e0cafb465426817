package sqlstore

import (
	"slices"

	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/unit"
)

func throttleWrites() []applier { return []applier{on(applyReservation), on(applySettle)} }

func throttleSweeps() []sweep {
	return []sweep{`DELETE FROM throttles WHERE key IN (SELECT key FROM throttles WHERE expires_at > 0 AND expires_at < ? LIMIT ?)`}
}

// applyReservation reads the counters, decides, and writes them. Whoever else reserves of one of them waits meanwhile.
// Names are taken in order, so that two never wait for each other.
func applyReservation(t *sqldb.Tx, w throttle.Reservation) error {
	names := make([]string, len(w.Keys))
	for i, k := range w.Keys {
		names[i] = k.Name
	}
	slices.Sort(names)
	if err := t.Serialize(names...); err != nil {
		return err
	}
	next := make([]throttle.Counter, len(w.Keys))
	for i, k := range w.Keys {
		c, err := counter(t, k.Name)
		if err != nil {
			return err
		}
		n, wait, locked := k.Rule.Reserve(c, w.At)
		if wait > 0 || locked {
			if w.Refused != nil {
				w.Refused.Wait, w.Refused.Locked = wait, locked
			}
			return &unit.Conflict{Write: w, Why: "wait"}
		}
		next[i] = n
	}
	if w.Counted != nil && len(next) > 0 {
		*w.Counted = next[0].Failures
	}
	for i, k := range w.Keys {
		if err := t.Run(`INSERT INTO throttles (key, failures, eased, until, updated_at, expires_at) VALUES (?,?,?,?,?,?) ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, eased = excluded.eased, until = excluded.until, updated_at = excluded.updated_at, expires_at = excluded.expires_at`,
			k.Name, next[i].Failures, next[i].Eased, micros(next[i].Until), micros(next[i].UpdatedAt), micros(k.Rule.Expires(next[i]))); err != nil {
			return err
		}
	}
	return nil
}

func counter(t *sqldb.Tx, name string) (c throttle.Counter, err error) {
	var until, updated int64
	if err = t.Row(`SELECT failures, eased, until, updated_at FROM throttles WHERE key = ?`, name).Scan(&c.Failures, &c.Eased, &until, &updated); err != nil {
		return throttle.Counter{}, sqldb.Or(err, nil)
	}
	c.Until, c.UpdatedAt = timeOf(until), timeOf(updated)
	return c, nil
}

func applySettle(t *sqldb.Tx, w throttle.Settle) error {
	for _, k := range w.Clear {
		if err := t.Run(`DELETE FROM throttles WHERE key = ?`, k); err != nil {
			return err
		}
	}
	for _, k := range w.Return {
		if err := t.Run(`UPDATE throttles SET failures = CASE WHEN failures > 0 THEN failures - 1 ELSE 0 END, until = 0 WHERE key = ?`, k); err != nil {
			return err
		}
	}
	return nil
}
