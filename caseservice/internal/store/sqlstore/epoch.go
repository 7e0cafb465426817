package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/sqldb"
	"ellis.example/caseservice/internal/unit"
)

var _ epoch.Reader = (*Store)(nil)

const epochNow = `SELECT n, at, EXISTS (SELECT 1 FROM copies) FROM epochs ORDER BY n DESC LIMIT 1`

// Epoch implements epoch.Reader.
func (s *Store) Epoch(ctx context.Context) (epoch.Epoch, error) {
	e, _, err := scanEpoch(s.db.Row(ctx, epochNow).Scan)
	return e, err
}

// IsCopy reports whether the database is a copy that was not accepted yet.
func (s *Store) IsCopy(ctx context.Context) (bool, error) {
	_, is, err := scanEpoch(s.db.Row(ctx, epochNow).Scan)
	return is, err
}

func scanEpoch(scan scanner) (e epoch.Epoch, copied bool, err error) {
	var at int64
	if err = scan(&e.N, &at, &copied); err == nil && at != 0 {
		e.At = time.UnixMicro(at).UTC()
	}
	return e, copied, err
}

// newWatch keeps a process from writing into a database that was set back, and in an epoch that it has not seen begin.
// Whatever is answered has its entry first: what cannot be written is not shown either.
func newWatch(c clock.Clock) *sqldb.Watch {
	return &sqldb.Watch{Clock: c, Settle: epoch.Settle, SetBack: epoch.ErrSetBack, Raised: epoch.ErrRaised}
}

// Halt refuses every write of this process until the epoch is another: the database has been set back underneath it.
func (s *Store) Halt() { s.watch.Halt() }

// Resume ends what Halt began: the database was accepted as it is.
func (s *Store) Resume() { s.watch.Resume() }

// Halted reports whether writes are refused because the database was set back.
func (s *Store) Halted() bool { return s.watch.Halted() }

// guard implements sqldb.Options.Guard. Every batch holds sqldb.Line beside others; whoever begins an epoch holds it alone. So
// nothing that was decided in the old epoch is committed behind the new one. Nobody writes into a copy.
func guard(w *sqldb.Watch) func(*sqldb.Tx) error {
	return func(t *sqldb.Tx) error {
		return t.AskRow(func(scan func(...any) error) error {
			e, copied, err := scanEpoch(scan)
			switch {
			case err != nil:
				return err
			case copied:
				return epoch.ErrCopy
			}
			return w.See(e.At.UnixMicro())
		}, epochNow)
	}
}

// raises reports whether a unit begins an epoch.
func raises(u unit.Unit) bool {
	return slices.ContainsFunc(u.Writes, func(w unit.Write) bool { _, is := w.(epoch.Raise); return is })
}

func applyRaise(t *sqldb.Tx, w epoch.Raise) error {
	if err := t.Serialize(sqldb.Line); err != nil {
		return err
	}
	if err := t.MustOne(w, "raised meanwhile", `INSERT INTO epochs (n, at, claims_from) SELECT n + 1, CAST(? AS BIGINT), CAST(? AS BIGINT) FROM epochs WHERE n = (SELECT max(n) FROM epochs) AND n = ?`,
		w.At.UnixMicro(), w.ClaimsFrom.UnixMicro(), w.From); err != nil {
		return err
	}
	if w.EndCodes {
		if err := t.Run(`UPDATE claim_codes SET expires_at = ?1 WHERE used_at = 0 AND expires_at > ?1`, w.At.UnixMicro()); err != nil {
			return err
		}
	}
	if err := t.Run(`UPDATE cases SET last_seq = last_seq + ?`, epoch.SeqGap); err != nil {
		return err
	}
	return t.Run(`DELETE FROM copies`)
}

// applyOwn does what applyAssign or applyRedeem did, unless somebody owns the case or it is gone.
func applyOwn(t *sqldb.Tx, w epoch.Own) error {
	at := w.At.UnixMicro()
	if n, err := t.Exec(insertOwner, w.Sub, string(cases.Owner), at, w.CaseID); err != nil || n == 0 {
		return err
	}
	notice := cases.NoticeAssigned
	if w.Code {
		notice = cases.NoticeClaimed
		if err := t.Run(`UPDATE claim_codes SET used_at = ?, used_by = ? WHERE case_id = ? AND used_at = 0`, at, w.Sub, w.CaseID); err != nil {
			return err
		}
		if err := t.Run(forgetTries, w.Sub); err != nil {
			return err
		}
	}
	if err := t.Run(touchCase, at, w.CaseID); err != nil {
		return err
	}
	return t.Run(insertNextEvent, w.Event, notice, at, w.CaseID)
}

func applyEndCode(t *sqldb.Tx, w epoch.EndCode) error {
	return t.Run(`UPDATE claim_codes SET expires_at = ?1 WHERE case_id = ?2 AND used_at = 0 AND expires_at > ?1`, w.At.UnixMicro(), w.CaseID)
}

func applyTried(t *sqldb.Tx, w epoch.Tried) error {
	at, old := w.At.UnixMicro(), w.At.Add(-cases.TryWindow).UnixMicro()
	return t.Run(countTry, w.Sub, at, old, old, old, cases.MaxTries)
}

// paused is how long nobody claims because of a restore.
func paused(scan scanner, now time.Time) (time.Duration, error) {
	var from int64
	if err := scan(&from); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	return max(0, time.UnixMicro(from).Sub(now)), nil
}

const claimsFrom = `SELECT max(claims_from) FROM epochs`
