package sqlstore

import (
	"context"
	"time"

	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/sqldb"
)

var _ factor.Reader = (*Store)(nil)

func factorWrites() []applier {
	return []applier{on(applySetPassword), on(applyAddTOTP), on(applyRemoveTOTP), on(applyUseStep), on(applySetRecoveryCodes), on(applyUseRecoveryCode)}
}

func applySetPassword(t *sqldb.Tx, w factor.SetPassword) error {
	if w.Old == "" {
		return t.MustOne(w, "has a password", `INSERT INTO passwords (account, record, changed_at) VALUES (?,?,?)`, w.Account, w.Record, micros(w.At))
	}
	return t.MustOne(w, "password changed meanwhile", `UPDATE passwords SET record = ?, changed_at = ? WHERE account = ? AND record = ?`, w.Record, micros(w.At), w.Account, w.Old)
}

func applyAddTOTP(t *sqldb.Tx, w factor.AddTOTP) error {
	if err := t.Serialize("totp:" + w.TOTP.Account); err != nil {
		return err
	}
	limit := factor.MaxTOTPs
	if w.First {
		limit = 1
	}
	if err := underActive(t, w.TOTP.Sealed); err != nil {
		return err
	}
	return t.MustOne(w, "too many authenticator apps", `INSERT INTO totps (id, account, label, sealed, created_at, used_at) SELECT ?,?,?,CAST(? AS BYTEA),CAST(? AS BIGINT),CAST(? AS BIGINT) WHERE (SELECT count(*) FROM totps WHERE account = ?) < ?`,
		w.TOTP.ID, w.TOTP.Account, w.TOTP.Label, w.TOTP.Sealed, micros(w.TOTP.CreatedAt), micros(w.TOTP.UsedAt), w.TOTP.Account, limit)
}

func applyRemoveTOTP(t *sqldb.Tx, w factor.RemoveTOTP) error {
	return t.MustOne(w, "no such authenticator app", `DELETE FROM totps WHERE id = ? AND account = ?`, w.ID, w.Account)
}

func applyUseStep(t *sqldb.Tx, w factor.UseStep) error {
	if err := lateEnough(t, w, w.Step); err != nil {
		return err
	}
	err := t.MustOne(w, "step used", `INSERT INTO totp_steps (account, step) VALUES (?,?) ON CONFLICT (account) DO UPDATE SET step = excluded.step WHERE totp_steps.step < excluded.step`, w.Account, w.Step)
	if err != nil || w.TOTP == "" {
		return err
	}
	return t.MustOne(w, "authenticator app removed", `UPDATE totps SET used_at = ? WHERE id = ? AND account = ?`, micros(w.At), w.TOTP, w.Account)
}

func applySetRecoveryCodes(t *sqldb.Tx, w factor.SetRecoveryCodes) error {
	if err := t.Serialize("recovery:" + w.Account); err != nil {
		return err
	}
	err := t.Run(`DELETE FROM recovery_codes WHERE account = ?`, w.Account)
	for i := 0; err == nil && i < len(w.Codes); i++ {
		c := w.Codes[i]
		err = t.Run(`INSERT INTO recovery_codes (account, hash, salt, made_at) VALUES (?,?,?,?)`, w.Account, c.Hash[:], c.Salt[:], micros(w.At))
	}
	return err
}

func applyUseRecoveryCode(t *sqldb.Tx, w factor.UseRecoveryCode) error {
	return t.MustOne(w, "code used", `UPDATE recovery_codes SET used_at = ? WHERE account = ? AND hash = ? AND used_at = 0`, micros(w.At), w.Account, w.Hash[:])
}

// Password implements factor.Reader.
func (s *Store) Password(ctx context.Context, account string) (string, time.Time, error) {
	var record string
	var at int64
	if err := s.db.Row(ctx, `SELECT record, changed_at FROM passwords WHERE account = ?`, account).Scan(&record, &at); err != nil {
		return "", time.Time{}, sqldb.Or(err, nil)
	}
	return record, timeOf(at), nil
}

// TOTPs implements factor.Reader.
func (s *Store) TOTPs(ctx context.Context, account string) (list []factor.TOTP, last int64, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		t := factor.TOTP{Account: account}
		var created, used int64
		err := scan(&t.ID, &t.Label, &t.Sealed, &created, &used)
		t.CreatedAt, t.UsedAt = timeOf(created), timeOf(used)
		list = append(list, t)
		return err
	}, `SELECT id, label, sealed, created_at, used_at FROM totps WHERE account = ? ORDER BY created_at, id`, account)
	if err == nil {
		err = sqldb.Or(s.db.Row(ctx, `SELECT step FROM totp_steps WHERE account = ?`, account).Scan(&last), nil)
	}
	return list, last, err
}

// RecoveryCodes implements factor.Reader.
func (s *Store) RecoveryCodes(ctx context.Context, account string) (out []factor.RecoveryCode, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		var c factor.RecoveryCode
		var hash, salt []byte
		var made, used int64
		err := scan(&hash, &salt, &made, &used)
		copy(c.Salt[:], salt)
		c.Hash, c.MadeAt, c.UsedAt = hash32(hash), timeOf(made), timeOf(used)
		out = append(out, c)
		return err
	}, `SELECT hash, salt, made_at, used_at FROM recovery_codes WHERE account = ?`, account)
	return out, err
}

// HasSecondFactor implements factor.Reader.
func (s *Store) HasSecondFactor(ctx context.Context, account string) (has bool, err error) {
	err = s.db.Row(ctx, `SELECT EXISTS (SELECT 1 FROM totps WHERE account = ?)`, account).Scan(&has)
	return has, err
}
