package sqlstore

import (
	"context"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/unit"
)

var (
	_ account.Reader     = (*Store)(nil)
	_ account.LinkReader = (*Store)(nil)
)

func accountWrites() []applier {
	return []applier{on(applyAccountCreate), on(applyAccountUpdate), on(applyAccountStatus), on(applyIssueLink), on(applySpendLink)}
}

func accountSweeps() []sweep {
	return []sweep{`DELETE FROM mail_links WHERE hash IN (SELECT hash FROM mail_links WHERE expires_at < CAST(? AS BIGINT) - 86400000000 LIMIT ?)`}
}

func applyAccountCreate(t *sqldb.Tx, w account.Create) error {
	a := w.Account
	err := t.MustOne(w, "account exists", `INSERT INTO accounts (id, status, given_name, family_name, birth_date, country, locale, email, username, email_verified_at, created_at, updated_at, version) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,1)`,
		a.ID, string(a.Status), a.GivenName, a.FamilyName, a.BirthDate, a.Country, a.Locale, a.Email, a.Username, micros(a.EmailVerifiedAt), micros(a.CreatedAt), micros(a.CreatedAt))
	for i := 0; err == nil && i < len(w.Canonical); i++ {
		err = t.MustOne(w, "identifier taken", `INSERT INTO identifiers (canonical, account) VALUES (?,?)`, w.Canonical[i], a.ID)
	}
	return err
}

func applyAccountUpdate(t *sqldb.Tx, w account.Update) error {
	a := w.Account
	return t.MustOne(w, "version moved on", `UPDATE accounts SET given_name = ?, family_name = ?, birth_date = ?, country = ?, locale = ?, updated_at = ?, version = version + 1 WHERE id = ? AND version = ?`,
		a.GivenName, a.FamilyName, a.BirthDate, a.Country, a.Locale, micros(a.UpdatedAt), a.ID, a.Version)
}

func applyAccountStatus(t *sqldb.Tx, w account.SetStatus) error {
	err := t.MustOne(w, "another status", `UPDATE accounts SET status = ?, updated_at = ?, version = version + 1 WHERE id = ? AND status = ?`, string(w.Status), micros(w.At), w.Account, string(w.From))
	if err != nil || w.Status == account.Active {
		return err
	}
	return tellAccount(t, w.Account, w.At)
}

func applyIssueLink(t *sqldb.Tx, w account.IssueLink) error {
	l := w.Link
	if err := t.Serialize("link:" + l.Canonical); err != nil {
		return err
	}
	if err := t.Run(`UPDATE mail_links SET spent_at = ? WHERE canonical = ? AND purpose = ? AND spent_at = 0`, micros(l.At), l.Canonical, string(l.Purpose)); err != nil {
		return err
	}
	return t.MustOne(w, "too many links", `INSERT INTO mail_links (hash, purpose, email, canonical, lang, flow, at, expires_at) SELECT CAST(? AS BYTEA),?,?,?,?,?,CAST(? AS BIGINT),CAST(? AS BIGINT) WHERE (SELECT count(*) FROM mail_links WHERE canonical = ? AND purpose = ? AND at > ?) < ?`,
		l.Hash[:], string(l.Purpose), l.Email, l.Canonical, l.Lang, l.Flow, micros(l.At), micros(l.ExpiresAt), l.Canonical, string(l.Purpose), micros(w.Since), w.Limit)
}

func applySpendLink(t *sqldb.Tx, w account.SpendLink) error {
	return t.MustOne(w, "link dead", `UPDATE mail_links SET spent_at = ? WHERE hash = ? AND purpose = ? AND spent_at = 0 AND expires_at > ?`, micros(w.At), w.Hash[:], string(w.Purpose), micros(w.At))
}

const accountColumns = `SELECT a.id, a.status, a.given_name, a.family_name, a.birth_date, a.country, a.locale, a.email, a.username, a.email_verified_at, a.created_at, a.updated_at, a.version FROM accounts a`

// Account implements account.Reader.
func (s *Store) Account(ctx context.Context, id string) (account.Account, error) {
	return scanAccount(s.db.Row(ctx, accountColumns+` WHERE a.id = ?`, id).Scan)
}

// AccountByIdentifier implements account.Reader.
func (s *Store) AccountByIdentifier(ctx context.Context, canonical string) (account.Account, error) {
	return scanAccount(s.db.Row(ctx, accountColumns+` JOIN identifiers i ON i.account = a.id WHERE i.canonical = ?`, canonical).Scan)
}

// Accounts lists accounts by id, after the given one, at most limit.
func (s *Store) Accounts(ctx context.Context, after string, limit int) (out []account.Account, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		a, err := scanAccount(scan)
		out = append(out, a)
		return err
	}, accountColumns+` WHERE a.id > ? ORDER BY a.id LIMIT ?`, after, limit)
	return out, err
}

func scanAccount(scan func(...any) error) (a account.Account, err error) {
	var verified, created, updated int64
	err = scan(&a.ID, &a.Status, &a.GivenName, &a.FamilyName, &a.BirthDate, &a.Country, &a.Locale, &a.Email, &a.Username, &verified, &created, &updated, &a.Version)
	if err != nil {
		return account.Account{}, sqldb.Or(err, account.ErrNotFound)
	}
	a.EmailVerifiedAt, a.CreatedAt, a.UpdatedAt = timeOf(verified), timeOf(created), timeOf(updated)
	return a, nil
}

// Link implements account.LinkReader.
func (s *Store) Link(ctx context.Context, h [32]byte) (account.Link, error) {
	l := account.Link{Hash: h}
	var at, expires, spent int64
	err := s.db.Row(ctx, `SELECT purpose, email, canonical, lang, flow, at, expires_at, spent_at FROM mail_links WHERE hash = ?`, h[:]).
		Scan(&l.Purpose, &l.Email, &l.Canonical, &l.Lang, &l.Flow, &at, &expires, &spent)
	if err != nil {
		return account.Link{}, sqldb.Or(err, account.ErrLinkDead)
	}
	l.At, l.ExpiresAt, l.SpentAt = timeOf(at), timeOf(expires), timeOf(spent)
	return l, nil
}

var _ unit.Committer = (*Store)(nil)
