package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"ellis.example/caseservice/internal/chain"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/sqldb"
	"ellis.example/caseservice/internal/witness"
)

const entryColumns = `w.name, l.seq, l.at, l.act, l.outcome, l.reason, l.case_id, l.sub, l.client_id, l.txn, l.jti, l.actor, l.purpose, l.request_id, l.hash`

// pieceRows is how many records are read at once: a ledger may be larger than memory, and longer than a statement may run.
const pieceRows = 4096

type storedEntry struct {
	ledger.Stored
	hash []byte
}

func scanEntry(scan scanner) (e storedEntry, err error) {
	var at int64
	err = scan(&e.Writer, &e.Seq, &at, &e.Act, &e.Outcome, &e.Reason, &e.Case, &e.Sub, &e.Client, &e.Txn, &e.JTI, &e.Actor, &e.Purpose, &e.Request, &e.hash)
	e.At = time.UnixMicro(at).UTC()
	return e, err
}

// stored takes the entries out of what scanEntry read.
func stored(list []storedEntry) (out []ledger.Stored) {
	for _, e := range list {
		out = append(out, e.Stored)
	}
	return out
}

// Trace implements ledger.Reader.
func (s *Store) Trace(ctx context.Context, id string) ([]ledger.Stored, error) {
	if id == "" {
		return nil, nil
	}
	const query = `SELECT ` + entryColumns + ` FROM ledger l JOIN ledger_writers w ON w.id = l.writer WHERE l.txn = ?
UNION ALL SELECT ` + entryColumns + ` FROM ledger l JOIN ledger_writers w ON w.id = l.writer WHERE l.jti = ? AND l.txn <> ?
ORDER BY 3, 1, 2`
	list, err := collect(ctx, s.db, query, scanEntry, id, id, id)
	return stored(list), err
}

// Tail implements ledger.Reader. Each writer's last entries are found by its key, so that it costs nothing of the rest.
func (s *Store) Tail(ctx context.Context, after map[string]int64, n int) (out []ledger.Stored, err error) {
	heads, err := s.heads(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range heads {
		from := max(h.head.Seq-int64(n), after[h.head.Writer])
		if from >= h.head.Seq {
			continue
		}
		list, err := s.piece(ctx, h, from, n)
		if err != nil {
			return nil, err
		}
		out = append(out, stored(list)...)
	}
	slices.SortFunc(out, func(a, b ledger.Stored) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Writer, b.Writer), cmp.Compare(a.Seq, b.Seq))
	})
	return out[max(0, len(out)-n):], nil
}

// Since returns the entries of an act from a time on, oldest first. It reads the whole ledger.
func (s *Store) Since(ctx context.Context, from time.Time, act string) ([]ledger.Stored, error) {
	list, err := collect(ctx, s.db, `SELECT `+entryColumns+` FROM ledger l JOIN ledger_writers w ON w.id = l.writer WHERE l.at >= ? AND l.act = ? ORDER BY l.at, l.writer, l.seq`,
		scanEntry, from.UnixMicro(), act)
	return stored(list), err
}

// piece reads records of a writer up to the head that is given, in their order.
func (s *Store) piece(ctx context.Context, h headRow, after int64, limit int) ([]storedEntry, error) {
	return collect(ctx, s.db, `SELECT `+entryColumns+` FROM ledger l JOIN ledger_writers w ON w.id = l.writer WHERE l.writer = ? AND l.seq > ? AND l.seq <= ? ORDER BY l.seq LIMIT ?`,
		scanEntry, h.id, after, h.head.Seq, limit)
}

// Verify implements ledger.Reader. A service may write meanwhile: each chain is followed at least to where its head was at
// the beginning, and what no head covers is looked for at the end.
func (s *Store) Verify(ctx context.Context, points ...witness.Checkpoint) (ledger.Report, error) {
	w, err := witness.Verify(ctx, s, points)
	r := ledger.Report{Writers: w.Writers, Records: w.Events, Checkpoints: w.Checkpoints, Restores: w.Restores}
	if err != nil {
		return r, err
	}
	if len(w.Broken) > 0 {
		r.Broken = w.Broken[0]
		return r, nil
	}
	r.Broken, err = s.strays(ctx)
	return r, err
}

// strays finds a record that no head covers.
func (s *Store) strays(ctx context.Context) (*chain.Broken, error) {
	var b chain.Broken
	err := s.db.Row(ctx, `SELECT writer, seq FROM ledger WHERE writer NOT IN (SELECT id FROM ledger_writers) ORDER BY writer, seq LIMIT 1`).Scan(&b.Writer, &b.Seq)
	if err == nil {
		b.Writer, b.Why = "#"+b.Writer, "record of a writer that is not in the list of writers"
		return &b, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	err = s.db.Row(ctx, `SELECT w.name, w.seq + 1 FROM ledger_writers w WHERE EXISTS (SELECT 1 FROM ledger l WHERE l.writer = w.id AND l.seq > w.seq) ORDER BY w.id LIMIT 1`).Scan(&b.Writer, &b.Seq)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // nothing is broken
	}
	b.Why = "record behind the writer's last"
	return &b, err
}

type headRow struct {
	id   int64
	head chain.Head
}

func (s *Store) heads(ctx context.Context) ([]headRow, error) {
	return collect(ctx, s.db, `SELECT id, name, seq, hash FROM ledger_writers ORDER BY id`, func(scan scanner) (h headRow, err error) {
		var hash []byte
		err = scan(&h.id, &h.head.Writer, &h.head.Seq, &hash)
		copy(h.head.Hash[:], hash)
		return h, err
	})
}

// Heads implements witness.Log.
func (s *Store) Heads(ctx context.Context) (out []chain.Head, err error) {
	rows, err := s.heads(ctx)
	for _, h := range rows {
		out = append(out, h.head)
	}
	return out, err
}

const selectPiece = `SELECT ` + entryColumns + ` FROM ledger l JOIN ledger_writers w ON w.id = l.writer WHERE l.writer = ? AND l.seq > ? ORDER BY l.seq LIMIT ?`

// Walk implements witness.Log.
func (s *Store) Walk(ctx context.Context, writer string, after int64, f func(chain.Record) error) error {
	var id int64
	if err := s.db.Row(ctx, `SELECT id FROM ledger_writers WHERE name = ?`, writer).Scan(&id); err != nil {
		return sqldb.Or(err, nil)
	}
	for {
		list, err := collect(ctx, s.db, selectPiece, scanEntry, id, after, pieceRows)
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := f(record(e)); err != nil {
				return err
			}
			after = e.Seq
		}
		if len(list) < pieceRows {
			return nil
		}
	}
}

// record is an entry as its chain has it: the text is made again of what is stored.
func record(e storedEntry) chain.Record {
	r := chain.Record{Writer: e.Writer, Seq: e.Seq, Body: ledger.Encode(e.At, e.Entry)}
	copy(r.Hash[:], e.hash)
	return r
}
