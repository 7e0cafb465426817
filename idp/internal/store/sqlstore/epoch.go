package sqlstore

import (
	"context"
	"slices"
	"sync"
	"time"

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

const epochNow = `SELECT n, at FROM epochs ORDER BY n DESC LIMIT 1`

// Epoch implements epoch.Reader.
func (s *Store) Epoch(ctx context.Context) (e epoch.Epoch, err error) {
	var at int64
	err = s.db.Row(ctx, epochNow).Scan(&e.N, &at)
	e.At = timeOf(at)
	return e, err
}

// EpochMark is an epoch.Current. A copy of a time before the last restore counts up to the same number again; when an epoch
// began tells the two apart.
func (s *Store) EpochMark(ctx context.Context) (int64, error) {
	e, err := s.Epoch(ctx)
	return micros(e.At), err
}

// IsCopy implements epoch.Reader.
func (s *Store) IsCopy(ctx context.Context) (is bool, err error) {
	err = s.db.Row(ctx, `SELECT EXISTS (SELECT 1 FROM copies)`).Scan(&is)
	return is, err
}

// watch keeps a process from writing in an epoch that it has not seen begin.
type watch struct {
	clk clock.Clock

	mu    sync.Mutex
	known bool
	at    int64     // when the epoch began, which tells it from another of the same number
	until time.Time // writes are refused before
	halt  bool      // until the epoch is another
}

// Halt refuses every write of this process until the epoch is raised: the database has been set back underneath it.
func (s *Store) Halt() {
	s.watch.mu.Lock()
	s.watch.halt = true
	s.watch.mu.Unlock()
}

// Resume ends what Halt began: the database was accepted as it is.
func (s *Store) Resume() {
	s.watch.mu.Lock()
	s.watch.halt = false
	s.watch.mu.Unlock()
}

// guard implements sqldb.Options.Guard. Every batch holds the key beside others; whoever raises the epoch holds it alone.
// So nothing that was decided in the old epoch is committed behind the new one.
func (w *watch) guard(t *sqldb.Tx) error {
	if err := t.SerializeShared("epoch"); err != nil {
		return err
	}
	var n, at int64
	if err := t.Row(epochNow).Scan(&n, &at); err != nil {
		return err
	}
	return w.see(at)
}

// see compares the epoch of the database with the one that this process works in. When it has changed, everything is refused
// until what was read in the old one is over.
func (w *watch) see(at int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clk.Now()
	if w.known && at != w.at {
		w.until, w.halt = now.Add(epoch.Settle), false
	}
	w.known, w.at = true, at
	if w.halt {
		return epoch.ErrSetBack
	}
	if left := w.until.Sub(now); left > 0 && left <= epoch.Settle { // more: the clock was set back
		return epoch.ErrRaised
	}
	return nil
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
	if err := t.Serialize("epoch"); err != nil {
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
		if _, err := t.Exec(q, at); err != nil {
			return err
		}
	}
	if w.Lock {
		if err := lockEverything(t, at); err != nil {
			return err
		}
	}
	_, err := t.Exec(`DELETE FROM copies`)
	return err
}

func lockEverything(t *sqldb.Tx, at int64) error {
	for _, s := range []account.Status{account.Active, account.Disabled} {
		if _, err := t.Exec(`UPDATE accounts SET status = ?, updated_at = ?, version = version + 1 WHERE status = ?`, string(s.Lock()), at, string(s)); err != nil {
			return err
		}
	}
	if _, err := t.Exec(`UPDATE clients SET secret_hash = ?, updated_at = ?, version = version + 1`, make([]byte, 32), at); err != nil {
		return err
	}
	return moved(t, "clients")
}

func applyVoidRecoveryCodes(t *sqldb.Tx, w epoch.VoidRecoveryCodes) error {
	_, err := t.Exec(`UPDATE recovery_codes SET used_at = ? WHERE account = ? AND used_at = 0`, micros(w.At), w.Account)
	return err
}

func applyVoidSecret(t *sqldb.Tx, w epoch.VoidSecret) error {
	if _, err := t.Exec(`UPDATE clients SET secret_hash = ?, updated_at = ?, version = version + 1 WHERE id = ?`, make([]byte, 32), micros(w.At), w.Client); err != nil {
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
