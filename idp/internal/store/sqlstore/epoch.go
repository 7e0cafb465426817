package sqlstore

import (
	"context"
	"slices"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/unit"
)

var _ epoch.Reader = (*Store)(nil)

func epochWrites() []applier {
	return []applier{on(applyRaise), on(applyVoidRecoveryCodes), on(applyVoidSecret)}
}

const (
	epochNow     = `SELECT n, at FROM epochs ORDER BY n DESC LIMIT 1`
	epochAndMark = `SELECT n, at, EXISTS (SELECT 1 FROM copies) FROM epochs ORDER BY n DESC LIMIT 1`
)

// Epoch implements epoch.Reader.
func (s *Store) Epoch(ctx context.Context) (e epoch.Epoch, err error) {
	var at int64
	err = s.db.Row(ctx, epochNow).Scan(&e.N, &at)
	e.At = timeOf(at)
	return e, err
}

// EpochMark is an epoch.Current. A copy of a time before the last restore counts up to the same number again; when an epoch
// began tells the two apart. It is as of this process's last commit, where that was a moment ago: what is found by the mark
// of an older one is committed nowhere.
func (s *Store) EpochMark(ctx context.Context) (int64, error) {
	if began, known := s.watch.Began(); known {
		return began, nil
	}
	e, err := s.Epoch(ctx)
	return micros(e.At), err
}

// IsCopy implements epoch.Reader.
func (s *Store) IsCopy(ctx context.Context) (is bool, err error) {
	err = s.db.Row(ctx, `SELECT EXISTS (SELECT 1 FROM copies)`).Scan(&is)
	return is, err
}

// newWatch keeps a process from writing in an epoch that it has not seen begin.
func newWatch(c clock.Clock) *sqldb.Watch {
	return &sqldb.Watch{Clock: c, Settle: epoch.Settle, SetBack: epoch.ErrSetBack, Raised: epoch.ErrRaised}
}

// Halt refuses every write of this process until the epoch is raised: the database has been set back underneath it.
func (s *Store) Halt() { s.watch.Halt() }

// Resume ends what Halt began: the database was accepted as it is.
func (s *Store) Resume() { s.watch.Resume() }

// guard implements sqldb.Options.Guard. Every batch holds sqldb.Line beside others; whoever raises the epoch holds it alone.
// So nothing that was decided in the old epoch is committed behind the new one. Nobody writes into a copy: a record of today
// in it would say that the witnesses knew all until today.
func guard(w *sqldb.Watch) func(*sqldb.Tx) error {
	return func(t *sqldb.Tx) error {
		return t.AskRow(func(scan func(...any) error) error {
			var n, began int64
			var copied bool
			err := scan(&n, &began, &copied)
			switch {
			case err != nil:
				return err
			case copied:
				return epoch.ErrCopy
			}
			return w.See(began)
		}, epochAndMark)
	}
}

// raises reports whether a unit begins an epoch.
func raises(u unit.Unit) bool {
	return slices.ContainsFunc(u.Writes, func(w unit.Write) bool { _, is := w.(epoch.Raise); return is })
}

// raised ends what was issued, in one statement each. The arguments are the time, as often as the statement has places.
var raised = []string{
	`UPDATE sessions SET ended_at = ? WHERE ended_at = 0`,
	`UPDATE grants SET revoked_at = ? WHERE revoked_at = 0`,
	`UPDATE mail_links SET spent_at = ? WHERE spent_at = 0`,
}

func applyRaise(t *sqldb.Tx, w epoch.Raise) error {
	if err := t.Serialize(sqldb.Line); err != nil {
		return err
	}
	at := micros(w.At)
	if err := t.MustOne(w, "raised meanwhile", `INSERT INTO epochs (n, at, totp_step) SELECT n + 1, CAST(? AS BIGINT), CAST(? AS BIGINT) FROM epochs WHERE n = (SELECT max(n) FROM epochs) AND n = ?`,
		at, w.At.Unix()/epoch.StepSeconds+1, w.From); err != nil {
		return err
	}
	list := raised
	if w.Unknown {
		list = append(slices.Clone(list), `UPDATE recovery_codes SET used_at = ? WHERE used_at = 0`)
	}
	for _, q := range list {
		if err := t.Run(q, at); err != nil {
			return err
		}
	}
	if w.Lock {
		if err := lockEverything(t, at); err != nil {
			return err
		}
	}
	return t.Run(`DELETE FROM copies`)
}

func lockEverything(t *sqldb.Tx, at int64) error {
	for _, s := range []account.Status{account.Active, account.Disabled} {
		if err := t.Run(`UPDATE accounts SET status = ?, updated_at = ?, version = version + 1 WHERE status = ?`, string(s.Lock()), at, string(s)); err != nil {
			return err
		}
	}
	if err := t.Run(`UPDATE clients SET secret_hash = ?, updated_at = ?, version = version + 1`, make([]byte, 32), at); err != nil {
		return err
	}
	return moved(t, "clients")
}

func applyVoidRecoveryCodes(t *sqldb.Tx, w epoch.VoidRecoveryCodes) error {
	return t.Run(`UPDATE recovery_codes SET used_at = ? WHERE account = ? AND used_at = 0`, micros(w.At), w.Account)
}

func applyVoidSecret(t *sqldb.Tx, w epoch.VoidSecret) error {
	if err := t.Run(`UPDATE clients SET secret_hash = ?, updated_at = ?, version = version + 1 WHERE id = ?`, make([]byte, 32), micros(w.At), w.Client); err != nil {
		return err
	}
	return moved(t, "clients")
}

// lateEnough refuses a one-time code of a time step that may have been used before a restore.
func lateEnough(t *sqldb.Tx, w unit.Write, step int64) error {
	var floor int64
	if err := t.Row(`SELECT max(totp_step) FROM epochs`).Scan(&floor); err != nil {
		return err
	}
	if step <= floor {
		return &unit.Conflict{Write: w, Why: "step of an earlier epoch"}
	}
	return nil
}
