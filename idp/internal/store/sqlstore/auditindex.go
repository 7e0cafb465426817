package sqlstore

import (
	"context"
	"database/sql"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/sqldb"
)

// indexRows is how many events a step takes. Each step is a commit that others wait for; and each writes anew the pages of the
// index that it touches, which are the fewer for an event the more events there are.
const indexRows = 512

// IndexAudit brings the index of identifiers up to the last event of every writer. It runs behind the commits, in small
// steps, so that no request waits for it; whoever searches the log calls it first.
func (s *Store) IndexAudit(ctx context.Context) error {
	for {
		writer, from, err := s.behind(ctx)
		if err != nil {
			return sqldb.Or(err, nil)
		}
		if err := s.indexSome(ctx, writer, from); err != nil {
			return err
		}
	}
}

// behind returns a writer with events that are not indexed, and up to where they are. Errors: sql.ErrNoRows for none.
func (s *Store) behind(ctx context.Context) (writer, from int64, err error) {
	err = s.db.Row(ctx, `SELECT id, indexed FROM audit_writers WHERE indexed < head_seq LIMIT 1`).Scan(&writer, &from)
	return writer, from, err
}

// indexSome indexes the next events of a writer. They are read before the writer of this process is asked for its time: events
// never change, and what somebody else indexes meanwhile is there twice for nobody.
func (s *Store) indexSome(ctx context.Context, writer, from int64) error {
	events, err := s.nextEvents(ctx, writer, from)
	if err != nil {
		return err
	}
	last := from
	rows := make([]any, 0, indexRows*4)
	for _, e := range events {
		for _, ref := range e.Refs() {
			rows = append(rows, ref, micros(e.At), writer, e.Seq)
		}
		last = e.Seq
	}
	if last == from { // a hole in the record: verification names it, the index steps over it
		err = s.db.Row(ctx, `SELECT coalesce(min(seq), ?) FROM audit_events WHERE writer = ? AND seq > ?`, from+indexRows, writer, from).Scan(&last)
		if err != nil {
			return err
		}
		last = max(last-1, from+1)
	}
	return s.maintain(ctx, func(t *sqldb.Tx) error {
		if err := t.Many(insertRef, rows); err != nil {
			return err
		}
		return t.Run(`UPDATE audit_writers SET indexed = ? WHERE id = ? AND indexed < ?`, last, writer, last)
	})
}

const insertRef = `INSERT INTO audit_refs (ref, at, writer, seq) VALUES (?,?,?,?) ON CONFLICT DO NOTHING`

func (s *Store) nextEvents(ctx context.Context, writer, from int64) (out []audit.Stored, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		var seq int64
		var body sql.RawBytes
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
