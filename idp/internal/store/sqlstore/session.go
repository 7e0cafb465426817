package sqlstore

import (
	"context"
	"time"

	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/sqldb"
)

var _ session.Reader = (*Store)(nil)

func sessionWrites() []applier {
	return []applier{on(applySessionStart), on(applySessionRenew), on(applySessionTouch), on(applySessionEnd), on(applySessionEndAll), on(applyDeviceKnow)}
}

func sessionSweeps() []sweep {
	return []sweep{
		`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE created_at < CAST(? AS BIGINT) - 2592000000000 LIMIT ?)`,
		`DELETE FROM devices WHERE id IN (SELECT id FROM devices WHERE last_seen < CAST(? AS BIGINT) - 15552000000000 LIMIT ?)`,
	}
}

func applySessionStart(t *sqldb.Tx, w session.Start) error {
	s := w.Session
	return t.MustOne(w, "session exists", `INSERT INTO sessions (id, cookie, account, device, created_at, auth_time, factor_time, last_seen, acr, amr, user_agent, ip) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`,
		s.ID, w.Cookie[:], s.Account, s.Device, micros(s.CreatedAt), micros(s.AuthTime), micros(s.FactorTime), micros(s.LastSeen), s.ACR, text(s.AMR), s.UserAgent, s.IP)
}

func applySessionRenew(t *sqldb.Tx, w session.Renew) error {
	s := w.Session
	return t.MustOne(w, "session ended or renewed elsewhere", `UPDATE sessions SET cookie = ?, device = ?, auth_time = ?, factor_time = ?, last_seen = ?, acr = ?, amr = ?, user_agent = ?, ip = ? WHERE id = ? AND account = ? AND cookie = ? AND ended_at = 0`,
		w.New[:], s.Device, micros(s.AuthTime), micros(s.FactorTime), micros(s.LastSeen), s.ACR, text(s.AMR), s.UserAgent, s.IP, s.ID, s.Account, w.Old[:])
}

func applySessionTouch(t *sqldb.Tx, w session.Touch) error {
	return t.MustOne(w, "session ended", `UPDATE sessions SET last_seen = CASE WHEN last_seen > ? THEN last_seen ELSE ? END WHERE id = ? AND ended_at = 0`, micros(w.At), micros(w.At), w.ID)
}

func applySessionEnd(t *sqldb.Tx, w session.End) error {
	if err := t.MustOne(w, "session ended", `UPDATE sessions SET ended_at = ? WHERE id = ? AND ended_at = 0`, micros(w.At), w.ID); err != nil {
		return err
	}
	return tellSessions(t, w.At, `s.id = ?`, w.ID)
}

func applySessionEndAll(t *sqldb.Tx, w session.EndAll) error {
	n, err := t.Exec(`UPDATE sessions SET ended_at = ? WHERE account = ? AND id <> ? AND ended_at = 0`, micros(w.At), w.Account, w.Except)
	if err != nil || n == 0 {
		return err
	}
	return tellSessions(t, w.At, `s.account = ?`, w.Account)
}

func applyDeviceKnow(t *sqldb.Tx, w session.Know) error {
	d := w.Device
	return t.Run(`INSERT INTO devices (account, cookie, id, user_agent, first_seen, last_seen) VALUES (?,?,?,?,?,?) ON CONFLICT (account, cookie) DO UPDATE SET user_agent = excluded.user_agent, last_seen = excluded.last_seen`,
		d.Account, d.Cookie[:], d.ID, d.UserAgent, micros(d.FirstSeen), micros(d.LastSeen))
}

const sessionColumns = `SELECT id, account, device, created_at, auth_time, factor_time, last_seen, acr, amr, user_agent, ip, ended_at FROM sessions`

// SessionByCookie implements session.Reader.
func (s *Store) SessionByCookie(ctx context.Context, h [32]byte) (session.Session, error) {
	return scanSession(s.db.Row(ctx, sessionColumns+` WHERE cookie = ?`, h[:]).Scan)
}

// Session implements session.Reader.
func (s *Store) Session(ctx context.Context, id string) (session.Session, error) {
	return scanSession(s.db.Row(ctx, sessionColumns+` WHERE id = ?`, id).Scan)
}

// SessionsOf implements session.Reader.
func (s *Store) SessionsOf(ctx context.Context, account string, now time.Time) (out []session.Session, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		v, err := scanSession(scan)
		if err == nil && v.Alive(now) {
			out = append(out, v)
		}
		return err
	}, sessionColumns+` WHERE account = ? AND created_at > ? AND ended_at = 0 ORDER BY last_seen DESC, id`, account, micros(now.Add(-session.AbsoluteTimeout)))
	return out, err
}

func scanSession(scan func(...any) error) (s session.Session, err error) {
	var created, auth, factor, seen, ended int64
	var amr string
	if err = scan(&s.ID, &s.Account, &s.Device, &created, &auth, &factor, &seen, &s.ACR, &amr, &s.UserAgent, &s.IP, &ended); err != nil {
		return session.Session{}, sqldb.Or(err, session.ErrNotFound)
	}
	s.CreatedAt, s.AuthTime, s.FactorTime, s.LastSeen, s.EndedAt = timeOf(created), timeOf(auth), timeOf(factor), timeOf(seen), timeOf(ended)
	return s, fromText(amr, &s.AMR)
}

// KnownBrowser implements session.Reader.
func (s *Store) KnownBrowser(ctx context.Context, h [32]byte, since time.Time) (known bool, err error) {
	err = s.db.Row(ctx, `SELECT EXISTS (SELECT 1 FROM devices WHERE cookie = ? AND last_seen > ?)`, h[:], micros(since)).Scan(&known)
	return known, sqldb.Or(err, nil)
}

// Device implements session.Reader.
func (s *Store) Device(ctx context.Context, account string, h [32]byte) (session.Device, error) {
	d := session.Device{Account: account, Cookie: h}
	var first, last int64
	if err := s.db.Row(ctx, `SELECT id, user_agent, first_seen, last_seen FROM devices WHERE account = ? AND cookie = ?`, account, h[:]).Scan(&d.ID, &d.UserAgent, &first, &last); err != nil {
		return session.Device{}, sqldb.Or(err, session.ErrNoDevice)
	}
	d.FirstSeen, d.LastSeen = timeOf(first), timeOf(last)
	return d, nil
}
