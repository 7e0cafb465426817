package sqlstore

import (
	"context"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/sqldb"
)

const indexRows = 256

// IndexAudit brings the index of identifiers up to the last event of every writer. It runs behind the commits, in small
// steps, so that no request waits for it; whoever searches the log calls it first.
func (s *Store) IndexAudit(ctx context.Context) error {
	for {
		done := 0
		err := s.maintain(ctx, func(t *sqldb.Tx) (err error) {
			done, err = indexSome(t)
			return err
		})
		if err != nil || done == 0 {
			return err
		}
	}
}

// indexSome indexes the next events of one writer that is behind, and returns how many.
func indexSome(t *sqldb.Tx) (int, error) {
	var writer, from int64
	err := t.Row(`SELECT id, indexed FROM audit_writers WHERE indexed < head_seq LIMIT 1`).Scan(&writer, &from)
	if err != nil {
		return 0, sqldb.Or(err, nil)
	}
	events, err := nextEvents(t, writer, from)
	if err != nil {
		return 0, err
	}
	last := from
	rows := make([]any, 0, indexRows*4)
	for _, e := range events {
		for _, ref := range e.Refs() {
			rows = append(rows, ref, micros(e.At), writer, e.Seq)
		}
		last = e.Seq
	}
	if err := t.Many(insertRef, rows); err != nil {
		return 0, err
	}
	if last == from { // a hole in the record: verification names it, the index steps over it
		err = t.Row(`SELECT coalesce(min(seq), ?) FROM audit_events WHERE writer = ? AND seq > ?`, from+indexRows, writer, from).Scan(&last)
		if err != nil {
			return 0, err
		}
		last = max(last-1, from+1)
	}
	_, err = t.Exec(`UPDATE audit_writers SET indexed = ? WHERE id = ? AND indexed < ?`, last, writer, last)
	return max(len(events), 1), err
}

const insertRef = `INSERT INTO audit_refs (ref, at, writer, seq) VALUES (?,?,?,?) ON CONFLICT DO NOTHING`

func nextEvents(t *sqldb.Tx, writer, from int64) (out []audit.Stored, err error) {
	err = t.Rows(func(scan func(...any) error) error {
		var seq int64
		var body []byte
		if err := scan(&seq, &body); err != nil {
			return err
		}
		e, err := audit.Decode("", seq, body)
		if err != nil {
			e = audit.Stored{Seq: seq} // an edited body: verification names it, here it has no identifiers
		}
		out = append(out, e)
		return nil
	}, `SELECT seq, body FROM audit_events WHERE writer = ? AND seq > ? ORDER BY seq LIMIT ?`, writer, from, indexRows)
	return out, err
}
