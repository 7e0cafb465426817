package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// readKept reads what the oracle looks at, in one snapshot.
func readKept(ctx context.Context, dsn string) (k kept, err error) {
	driver, name := "pgx", dsn
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, name = "sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		return k, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	opt := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	if driver == "sqlite" {
		opt = nil // a read transaction is a snapshot
	}
	tx, err := db.BeginTx(ctx, opt)
	if err != nil {
		return k, err
	}
	defer tx.Rollback() //nolint:errcheck // only read
	k = kept{refresh: map[string]keptRefresh{}, families: map[string]keptFamily{}, grants: map[string]keptGrant{}, access: map[string]string{}}
	for query, each := range map[string]func(*sql.Rows) error{
		`SELECT hash, family, used_at <> 0, child FROM refresh_tokens`: k.readRefresh,
		`SELECT id, grant_id, revoked_at <> 0 FROM families`:           k.readFamily,
		`SELECT id, revoked_at <> 0 FROM grants`:                       k.readGrant,
		`SELECT jti, grant_id FROM access_tokens`:                      k.readAccess,
		`SELECT body FROM audit_events ORDER BY writer, seq`:           k.readEvent,
	} {
		if err := rows(ctx, tx, query, each); err != nil {
			return k, fmt.Errorf("%s: %w", query, err)
		}
	}
	return k, nil
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
	err := rs.Scan(&id, &g.revoked)
	k.grants[id] = g
	return err
}

func (k *kept) readAccess(rs *sql.Rows) error {
	var jti, grant string
	err := rs.Scan(&jti, &grant)
	k.access[jti] = grant
	return err
}

func (k *kept) readEvent(rs *sql.Rows) error {
	var body []byte
	if err := rs.Scan(&body); err != nil {
		return err
	}
	var e keptEvent
	err := json.Unmarshal(body, &e)
	k.events = append(k.events, e)
	return err
}
