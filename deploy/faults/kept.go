package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// archive is what the oracle has read of records that only grow, so that each is read once. Whether one was changed later, the
// services' own commands say.
type archive struct {
	events      []keptEvent
	disclosures []disclosure
	heads       map[string]int64 // table and writer → number of the last record
}

// open opens a database by its data source name.
func open(dsn string) (db *sql.DB, opt *sql.TxOptions, err error) {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		db, err = sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(10000)")
		return db, nil, err // a read transaction is a snapshot
	}
	db, err = sql.Open("pgx", dsn)
	return db, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, err
}

// snapshot lets f read one state of a database.
func snapshot(ctx context.Context, dsn string, f func(*sql.Tx) error) error {
	db, opt, err := open(dsn)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, opt)
	if err == nil {
		err = errors.Join(f(tx), tx.Rollback())
	}
	return errors.Join(err, db.Close())
}

// read reads what the oracle looks at: one snapshot of the provider's database, and one of the case service's.
func (a *archive) read(ctx context.Context, provider, cases string) (k kept, err error) {
	if a.heads == nil {
		a.heads = map[string]int64{}
	}
	k = kept{
		refresh: map[string]keptRefresh{}, families: map[string]keptFamily{}, grants: map[string]keptGrant{}, access: map[string]string{},
		sessions: map[string]keptSession{}, accounts: map[string]keptAccount{}, links: map[string]bool{}, mailed: map[string]bool{},
		waiting: map[string]bool{}, consents: map[string]bool{}, steps: map[string]int64{},
	}
	err = snapshot(ctx, provider, func(tx *sql.Tx) error {
		for query, each := range map[string]func(*sql.Rows) error{
			`SELECT hash, family, used_at <> 0, child FROM refresh_tokens`:                                      k.readRefresh,
			`SELECT id, grant_id, revoked_at <> 0 FROM families`:                                                k.readFamily,
			`SELECT id, session, account, revoked_at <> 0 FROM grants`:                                          k.readGrant,
			`SELECT jti, grant_id FROM access_tokens`:                                                           k.readAccess,
			`SELECT cookie, id, account, ended_at <> 0 FROM sessions`:                                           k.readSession,
			`SELECT a.email, a.id, a.status, p.changed_at FROM accounts a JOIN passwords p ON p.account = a.id`: k.readAccount,
			`SELECT hash, email, spent_at <> 0 FROM mail_links`:                                                 k.readLink,
			`SELECT recipient FROM outbox WHERE sent_at = 0`:                                                    k.readWaiting,
			`SELECT DISTINCT account, client FROM consents`:                                                     k.readConsent,
			`SELECT failures FROM throttles`:                                                                    k.readThrottle,
			`SELECT account, step FROM totp_steps`:                                                              k.readStep,
		} {
			if err := rows(ctx, tx, query, each); err != nil {
				return fmt.Errorf("%s: %w", query, err)
			}
		}
		return a.follow(ctx, tx, "audit", "SELECT body, seq FROM audit_events", a.readEvent)
	})
	if err != nil {
		return k, err
	}
	err = snapshot(ctx, cases, func(tx *sql.Tx) error {
		return a.follow(ctx, tx, "ledger", "SELECT act, outcome, case_id, jti, request_id, seq FROM ledger", a.readDisclosure)
	})
	k.events, k.disclosures = a.events, a.disclosures
	return k, err
}

// follow reads what each writer of a log wrote since, in its order. each returns the number of a record.
func (a *archive) follow(ctx context.Context, tx *sql.Tx, log, query string, each func(*sql.Rows) (int64, error)) error {
	var writers []int64
	if err := rows(ctx, tx, "SELECT id FROM "+log+"_writers ORDER BY id", func(rs *sql.Rows) error {
		var id int64
		err := rs.Scan(&id)
		writers = append(writers, id)
		return err
	}); err != nil {
		return err
	}
	for _, w := range writers {
		head := fmt.Sprint(log, " ", w)
		err := rows(ctx, tx, fmt.Sprintf("%s WHERE writer = %d AND seq > %d ORDER BY seq", query, w, a.heads[head]), func(rs *sql.Rows) error {
			seq, err := each(rs)
			a.heads[head] = seq
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func rows(ctx context.Context, tx *sql.Tx, query string, each func(*sql.Rows) error) error {
	rs, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rs.Close() //nolint:errcheck // rs.Err tells
	for rs.Next() {
		if err := each(rs); err != nil {
			return err
		}
	}
	return rs.Err()
}

func (k *kept) readRefresh(rs *sql.Rows) error {
	var hash, child []byte
	var r keptRefresh
	err := rs.Scan(&hash, &r.family, &r.used, &child)
	r.child = fmt.Sprintf("%x", child)
	k.refresh[fmt.Sprintf("%x", hash)] = r
	return err
}

func (k *kept) readFamily(rs *sql.Rows) error {
	var id string
	var f keptFamily
	err := rs.Scan(&id, &f.grant, &f.revoked)
	k.families[id] = f
	return err
}

func (k *kept) readGrant(rs *sql.Rows) error {
	var id string
	var g keptGrant
	err := rs.Scan(&id, &g.session, &g.account, &g.revoked)
	k.grants[id] = g
	return err
}

func (k *kept) readAccess(rs *sql.Rows) error {
	var jti, grant string
	err := rs.Scan(&jti, &grant)
	k.access[jti] = grant
	return err
}

func (k *kept) readSession(rs *sql.Rows) error {
	var cookie []byte
	var s keptSession
	err := rs.Scan(&cookie, &s.id, &s.account, &s.ended)
	k.sessions[fmt.Sprintf("%x", cookie)] = s
	return err
}

func (k *kept) readAccount(rs *sql.Rows) error {
	var email string
	var a keptAccount
	var changed int64
	err := rs.Scan(&email, &a.id, &a.status, &changed)
	a.password = time.UnixMicro(changed)
	k.accounts[email] = a
	return err
}

func (k *kept) readLink(rs *sql.Rows) error {
	var hash []byte
	var email string
	var spent bool
	err := rs.Scan(&hash, &email, &spent)
	k.links[fmt.Sprintf("%x", hash)], k.mailed[email] = spent, true
	return err
}

func (k *kept) readWaiting(rs *sql.Rows) error {
	var to string
	err := rs.Scan(&to)
	k.waiting[to] = true
	return err
}

func (k *kept) readConsent(rs *sql.Rows) error {
	var account, client string
	err := rs.Scan(&account, &client)
	k.consents[account+" "+client] = true
	return err
}

func (k *kept) readStep(rs *sql.Rows) error {
	var account string
	var step int64
	err := rs.Scan(&account, &step)
	k.steps[account] = step
	return err
}

func (k *kept) readThrottle(rs *sql.Rows) error {
	var n int64
	err := rs.Scan(&n)
	k.failures = append(k.failures, n)
	return err
}

func (a *archive) readEvent(rs *sql.Rows) (seq int64, err error) {
	var body []byte
	if err := rs.Scan(&body, &seq); err != nil {
		return 0, err
	}
	var e keptEvent
	err = json.Unmarshal(body, &e)
	a.events = append(a.events, e)
	return seq, err
}

func (a *archive) readDisclosure(rs *sql.Rows) (seq int64, err error) {
	var d disclosure
	err = rs.Scan(&d.act, &d.outcome, &d.caseID, &d.jti, &d.request, &seq)
	a.disclosures = append(a.disclosures, d)
	return seq, err
}
