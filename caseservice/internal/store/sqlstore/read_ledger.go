package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"ellis.example/caseservice/internal/chain"
	"ellis.example/caseservice/internal/ledger"
)

const entryColumns = `w.name, l.seq, l.at, l.act, l.outcome, l.reason, l.case_id, l.sub, l.client_id, l.txn, l.jti, l.actor, l.purpose, l.request_id, l.hash`

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

// Trace implements ledger.Reader.
func (s *Store) Trace(ctx context.Context, id string) (out []ledger.Stored, err error) {
	if id == "" {
		return nil, nil
	}
	const query = `SELECT ` + entryColumns + ` FROM ledger l JOIN ledger_writers w ON w.id = l.writer WHERE l.txn = ?
UNION ALL SELECT ` + entryColumns + ` FROM ledger l JOIN ledger_writers w ON w.id = l.writer WHERE l.jti = ? AND l.txn <> ?
ORDER BY 3, 1, 2`
	rows, err := s.read.QueryContext(ctx, query, id, id, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		e, err := scanEntry(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, e.Stored)
	}
	return out, rows.Err()
}

// Tail implements ledger.Reader. Each writer's last entries are found by its key, so that it costs nothing of the rest.
func (s *Store) Tail(ctx context.Context, after map[string]int64, n int) (out []ledger.Stored, err error) {
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	heads, err := readHeads(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, h := range heads {
		from := max(h.head.Seq-int64(n), after[h.head.Writer])
		if from >= h.head.Seq {
			continue
		}
		if out, err = appendChain(ctx, tx, out, h.id, from); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b ledger.Stored) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Writer, b.Writer), cmp.Compare(a.Seq, b.Seq))
	})
	return out[max(0, len(out)-n):], nil
}

func appendChain(ctx context.Context, tx *sql.Tx, out []ledger.Stored, writer, after int64) (_ []ledger.Stored, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT `+entryColumns+` FROM ledger l JOIN ledger_writers w ON w.id = l.writer WHERE l.writer = ? AND l.seq > ? ORDER BY l.seq`, writer, after)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		e, err := scanEntry(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, e.Stored)
	}
	return out, rows.Err()
}

// Verify implements ledger.Reader. It reads one snapshot, so that a service may write meanwhile.
func (s *Store) Verify(ctx context.Context) (r ledger.Report, err error) {
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	heads, err := readHeads(ctx, tx)
	if err != nil {
		return r, err
	}
	r.Writers = len(heads)
	for _, h := range heads {
		n, err := verifyChain(ctx, tx, h)
		r.Records += n
		if errors.As(err, &r.Broken) {
			return r, nil
		}
		if err != nil {
			return r, err
		}
	}
	var writer, seq int64
	err = tx.QueryRowContext(ctx, `SELECT writer, seq FROM ledger WHERE writer NOT IN (SELECT id FROM ledger_writers) ORDER BY writer, seq LIMIT 1`).Scan(&writer, &seq)
	if errors.Is(err, sql.ErrNoRows) {
		return r, nil
	}
	r.Broken = &chain.Broken{Writer: fmt.Sprintf("#%d", writer), Seq: seq, Why: "record of a writer that is not in the list of writers"}
	return r, err
}

type headRow struct {
	id   int64
	head chain.Head
}

func readHeads(ctx context.Context, tx *sql.Tx) (out []headRow, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, name, seq, hash FROM ledger_writers ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var h headRow
		var hash []byte
		if err := rows.Scan(&h.id, &h.head.Writer, &h.head.Seq, &hash); err != nil {
			return nil, err
		}
		copy(h.head.Hash[:], hash)
		out = append(out, h)
	}
	return out, rows.Err()
}

// verifyChain follows one writer's records and compares where they end with the writer's head. Errors: *chain.Broken.
func verifyChain(ctx context.Context, tx *sql.Tx, want headRow) (n int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT `+entryColumns+` FROM ledger l JOIN ledger_writers w ON w.id = l.writer WHERE l.writer = ? ORDER BY l.seq`, want.id)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	head := chain.Head{Writer: want.head.Writer}
	for ; rows.Next(); n++ {
		e, err := scanEntry(rows.Scan)
		if err != nil {
			return n, err
		}
		text, err := ledger.Encode(e.At, e.Entry)
		if err != nil {
			return n, err
		}
		record := chain.Record{Writer: e.Writer, Seq: e.Seq, Body: text}
		copy(record.Hash[:], e.hash)
		if head, err = chain.Follow(head, record); err != nil {
			return n, err
		}
	}
	if err := rows.Err(); err != nil {
		return n, err
	}
	if head != want.head {
		return n, &chain.Broken{Writer: head.Writer, Seq: head.Seq + 1, Why: fmt.Sprintf("the writer wrote %d records, and this one is missing", want.head.Seq)}
	}
	return n, nil
}
