package sqlstore

import (
	"context"
	"time"

	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/unit"
)

var _ notify.Reader = (*Store)(nil)

func outboxWrites() []applier {
	return []applier{on(applyQueue), on(applyClaim), on(applySent), on(applyDefer), on(applyDrop)}
}

func outboxSweeps() []sweep {
	return []sweep{`DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE sent_at > 0 AND expires_at < CAST(? AS BIGINT) - 2592000000000 LIMIT ?)`}
}

func applyQueue(t *sqldb.Tx, w notify.Queue) error {
	if w.Limit > 0 {
		var n int
		if err := t.Row(`SELECT count(*) FROM (SELECT 1 FROM outbox WHERE sent_at = 0 LIMIT ?) AS waiting`, w.Limit).Scan(&n); err != nil {
			return err
		}
		if n >= w.Limit {
			return &unit.Conflict{Write: w, Why: "too many mails wait"}
		}
	}
	if err := underActive(t, w.Sealed); err != nil {
		return err
	}
	return t.MustOne(w, "mail exists", `INSERT INTO outbox (id, recipient, lang, template, account, sealed, at, due_at, expires_at) VALUES (?,?,?,?,?,?,?,?,?)`,
		w.ID, w.Recipient, w.Lang, w.Template, w.Account, w.Sealed, micros(w.At), micros(w.At), micros(w.ExpiresAt))
}

func applyClaim(t *sqldb.Tx, w notify.Claim) error {
	return t.MustOne(w, "taken", `UPDATE outbox SET due_at = ?1, attempts = attempts + 1, fence = ?4 WHERE id = ?2 AND sent_at = 0 AND (due_at <= ?3 OR (fence > 0 AND fence < ?4))`,
		micros(w.Until), w.ID, micros(w.At), w.Fence)
}

func applySent(t *sqldb.Tx, w notify.Sent) error {
	return t.MustOne(w, "sent", `UPDATE outbox SET sent_at = ?, sealed = ? WHERE id = ? AND sent_at = 0`, micros(w.At), []byte{}, w.ID)
}

func applyDefer(t *sqldb.Tx, w notify.Defer) error {
	return t.Run(`UPDATE outbox SET due_at = ?, fence = 0 WHERE id = ? AND sent_at = 0`, micros(w.Due), w.ID)
}

func applyDrop(t *sqldb.Tx, w notify.Drop) error {
	return t.Run(`DELETE FROM outbox WHERE id = ?`, w.ID)
}

// WaitingMail is how many mails were not sent yet.
func (s *Store) WaitingMail(ctx context.Context) (n int, err error) {
	err = s.db.Row(ctx, `SELECT count(*) FROM outbox WHERE sent_at = 0`).Scan(&n)
	return n, err
}

// DueMail implements notify.Reader.
func (s *Store) DueMail(ctx context.Context, now time.Time, fence int64, limit int) (out []notify.Item, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		var i notify.Item
		var expires int64
		err := scan(&i.ID, &i.Account, &i.Template, &i.Sealed, &i.Attempts, &expires)
		i.ExpiresAt = timeOf(expires)
		out = append(out, i)
		return err
	}, `SELECT id, account, template, sealed, attempts, expires_at FROM outbox
		WHERE sent_at = 0 AND (due_at <= ?1 OR (fence > 0 AND fence < ?2)) ORDER BY due_at, id LIMIT ?3`, micros(now), fence, limit)
	return out, err
}
