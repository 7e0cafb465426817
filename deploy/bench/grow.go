package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
)

const eventsPerRow = 10 // events of the provider's audit for each account

// grow fills both databases with rows of people who do nothing meanwhile, before anything is served: what is measured then
// says how cost grows. Each row lies at a place of its index that has nothing to do with when it was made, as real ones do.
func (s *stack) grow(ctx context.Context, rows int) error {
	if err := seed.Ask(ctx, s.cfg, nil, s.cfg.CaseService, "migrate", "up"); err != nil {
		return err
	}
	of := s.cfg.DataSources()
	for _, d := range []struct {
		name, dsn string
		tables    []filling
	}{{launch.IDP, of.IDP, identityRows}, {launch.CaseService, of.Cases, caseRows}} {
		began := time.Now() //nolint:forbidigo // it tells how long it took
		if err := fill(ctx, d.dsn, d.tables, rows); err != nil {
			return fmt.Errorf("filling %s: %w", d.name, err)
		}
		s.bench.say("%s: %d rows of each kind after %v", d.name, rows, time.Since(began).Round(time.Second))
	}
	return nil
}

// filling is how the rows of one table are made. In values, i is the number of the row from 1, #x an identifier made of i for
// the kind x, and @n a hash of n bytes.
type filling struct {
	table  string
	times  int // rows for each one that was asked for
	values string
}

// Times are about now: nothing of it is due to be removed.
var identityRows = []filling{
	{"accounts", 1, "#acc, 'active', 'Filled', 'Person', '1990-01-02', 'MX', 'en', #fill || '@example.net', '', now, now, now, 1"},
	{"identifiers", 1, "#fill || '@example.net', #acc"},
	{"passwords", 1, "#acc, 'none', now"},
	{"sessions", 1, "#ses, @32, #acc, #dev, now, now, now, now, 'urn:ellis:acr:pwd', 'pwd', 'Mozilla/5.0', '192.0.2.1', 0"},
	{"devices", 1, "#acc, @32, #dev, 'Mozilla/5.0', now, now"},
	{"consents", 1, "#acc, 'test-app', 'openid', now"},
	{"grants", 1, "#gra, #acc, 'test-app', #ses, 'openid offline_access cases:read', 'cases', #txn, now, 'urn:ellis:acr:pwd', 'pwd', '', now, now + year, 0"},
	{"families", 1, "#fam, #gra, 'test-app', now, now, now + year, 0"},
	{"refresh_tokens", 1, "@32, #fam, now, 0, NULL, NULL, '', ''"},
	{"access_tokens", 1, "#jti, #gra, #fam, 'cases', 'cases:read', now, now + year"},
	{"audit_events", eventsPerRow, "(SELECT max(id) FROM audit_writers), i, now, @300, @32"},
	{"audit_refs", eventsPerRow, "#acc, now, (SELECT max(id) FROM audit_writers), i"},
	{"audit_refs", eventsPerRow, "#txn, now, (SELECT max(id) FROM audit_writers), i"},
}

var caseRows = []filling{
	{"cases", 1, "#cas, 'FIL' || substr(#r, 2), 'I-765', 'received', 'received', now, '2026-01-05', now, '', '', 2"},
	{"parties", 1, "#cas, #sub, 'owner', now"},
	{"events", 1, "#cas, 1, #evt, 'received', now"},
	{"events", 1, "#cas, 2, #evt || 'b', 'biometrics_scheduled', now"},
	{"appointments", 1, "#app, #cas, 'biometrics', 'scheduled', now + year, -18000, 'Riverton Application Support Center', '210 Harbor Street, Riverton'"},
	{"ledger", 1, "(SELECT max(id) FROM ledger_writers), i, now, 'case.read', 'done', '', #cas, #sub, 'test-app', #txn, #jti, '', '', #req, @32"},
}

// writers are the rows without which the events would be nobody's. Everything of them was indexed.
var writers = map[string]string{
	"audit_events": "INSERT INTO audit_writers (name, started_at, head_seq, head_hash, indexed) SELECT 'filled', now, i, @32, i FROM (SELECT %d AS i) AS n",
	"ledger":       "INSERT INTO ledger_writers (name, seq, hash) SELECT 'filled', i, @32 FROM (SELECT %d AS i) AS n",
}

// open opens a database by its data source name. Nobody else uses it, and what a power failure takes is made again.
func open(dsn string) (driver string, db *sql.DB, err error) {
	driver, source := "pgx", dsn
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, source = "sqlite", "file:"+path+"?_pragma=synchronous(off)&_pragma=cache_size(-200000)"
	}
	db, err = sql.Open(driver, source)
	return driver, db, err
}

// fill makes the rows of a database.
func fill(ctx context.Context, dsn string, tables []filling, rows int) (err error) {
	driver, db, err := open(dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	now := time.Now().UnixMicro() //nolint:forbidigo // rows of a real time
	for _, t := range tables {
		if w, ok := writers[t.table]; ok {
			if _, err := db.ExecContext(ctx, spell(driver, fmt.Sprintf(w, rows*t.times), now)); err != nil {
				return err
			}
		}
		if _, err := db.ExecContext(ctx, spell(driver, t.insert(rows), now)); err != nil {
			return fmt.Errorf("%s: %w", t.table, err)
		}
	}
	if driver == "pgx" { // as its own cleaner would in time
		_, err = db.ExecContext(ctx, "VACUUM ANALYZE")
	}
	return err
}

func (t filling) insert(rows int) string {
	return fmt.Sprintf("INSERT INTO %s WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT %s FROM n", t.table, rows*t.times, t.values)
}

var (
	mark    = regexp.MustCompile(`#([a-z]+)|@(\d+)|\bnow\b|\byear\b`)
	blobs   = map[string]string{"sqlite": "randomblob(%d)", "pgx": "substr(decode(repeat(md5(CAST(i AS TEXT)), 1 + %[1]d / 16), 'hex'), 1, %[1]d)"}
	yearLen = 365 * 24 * time.Hour
)

// spell writes a statement for a driver.
func spell(driver, text string, now int64) string {
	return mark.ReplaceAllStringFunc(text, func(m string) string {
		switch {
		case m == "now":
			return strconv.FormatInt(now, 10)
		case m == "year":
			return strconv.FormatInt(yearLen.Microseconds(), 10)
		case m[0] == '@':
			n, _ := strconv.Atoi(m[1:]) // the expression takes digits alone
			return fmt.Sprintf(blobs[driver], n)
		default: // a prime multiple scatters the numbers, and none comes twice
			return "'" + m[1:] + "' || CAST(1000000000 + (i * 2654435761) % 4294967291 AS TEXT)"
		}
	})
}
