package sqlstore

import (
	"context"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/witness"
)

var _ witness.Log = (*Store)(nil)

// Heads implements witness.Log.
func (s *Store) Heads(ctx context.Context) (out []chain.Head, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		var h chain.Head
		var hash []byte
		err := scan(&h.Writer, &h.Seq, &hash)
		h.Hash = hash32(hash)
		out = append(out, h)
		return err
	}, `SELECT name, head_seq, head_hash FROM audit_writers ORDER BY id`)
	return out, err
}

const walkRows = 4096

// Walk implements witness.Log. It reads in pieces, so that a long walk holds nothing up.
func (s *Store) Walk(ctx context.Context, writer string, after int64, f func(chain.Record) error) error {
	var id int64
	if err := s.db.Row(ctx, `SELECT id FROM audit_writers WHERE name = ?`, writer).Scan(&id); err != nil {
		return sqldb.Or(err, nil)
	}
	for {
		n := 0
		err := s.db.Rows(ctx, func(scan func(...any) error) error {
			r := chain.Record{Writer: writer}
			var hash []byte
			if err := scan(&r.Seq, &r.Body, &hash); err != nil {
				return err
			}
			r.Hash = hash32(hash)
			n, after = n+1, r.Seq
			return f(r)
		}, `SELECT seq, body, hash FROM audit_events WHERE writer = ? AND seq > ? ORDER BY seq LIMIT ?`, id, after, walkRows)
		if err != nil || n < walkRows {
			return err
		}
	}
}

const eventColumns = `SELECT w.name, e.seq, e.body FROM audit_refs r JOIN audit_events e ON e.writer = r.writer AND e.seq = r.seq JOIN audit_writers w ON w.id = r.writer`

func (s *Store) events(ctx context.Context, query string, args ...any) (out []audit.Stored, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		var writer string
		var seq int64
		var body []byte
		if err := scan(&writer, &seq, &body); err != nil {
			return err
		}
		e, err := audit.Decode(writer, seq, body)
		out = append(out, e)
		return err
	}, query, args...)
	return out, err
}

// EventsBy returns the events that carry an identifier, oldest first, at most limit.
func (s *Store) EventsBy(ctx context.Context, ref string, limit int) ([]audit.Stored, error) {
	if err := s.IndexAudit(ctx); err != nil {
		return nil, err
	}
	return s.events(ctx, eventColumns+` WHERE r.ref = ? ORDER BY r.at, r.writer, r.seq LIMIT ?`, ref, limit)
}

// EventsOf returns the events that carry an identifier, newest first, older than before (zero: all), at most limit.
func (s *Store) EventsOf(ctx context.Context, ref string, before time.Time, limit int) ([]audit.Stored, error) {
	if err := s.IndexAudit(ctx); err != nil {
		return nil, err
	}
	end := int64(1) << 62
	if !before.IsZero() {
		end = micros(before)
	}
	return s.events(ctx, eventColumns+` WHERE r.ref = ? AND r.at < ? ORDER BY r.at DESC, r.writer DESC, r.seq DESC LIMIT ?`, ref, end, limit)
}

// EventsSince returns the events of all writers after a time, oldest first, at most limit.
func (s *Store) EventsSince(ctx context.Context, after time.Time, limit int) ([]audit.Stored, error) {
	return s.events(ctx, `SELECT w.name, e.seq, e.body FROM audit_events e JOIN audit_writers w ON w.id = e.writer WHERE e.at > ? ORDER BY e.at, e.writer, e.seq LIMIT ?`, micros(after), limit)
}

// LatestEvents returns the last events of all writers, oldest first.
func (s *Store) LatestEvents(ctx context.Context, limit int) ([]audit.Stored, error) {
	return s.events(ctx, `SELECT name, seq, body FROM (SELECT w.name, e.seq, e.body, e.at, e.writer FROM audit_events e JOIN audit_writers w ON w.id = e.writer ORDER BY e.at DESC, e.writer DESC, e.seq DESC LIMIT ?) AS latest ORDER BY at, writer, seq`, limit)
}
