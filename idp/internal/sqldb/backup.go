package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"ellis.example/idp/internal/fault"
)

// ErrServerBackup is returned for a copy of a database that a server keeps.
var ErrServerBackup = fault.New(fault.Invalid, "backup_postgres",
	"PostgreSQL is backed up by its own means: pg_basebackup with archived WAL, which also restores to a point in time (docs/operations/backup.md)")

// CopyTo writes a consistent copy of a SQLite database into an empty file, while others read and write, and runs marks in the
// copy. It is on disk when this returns. Errors: ErrServerBackup; those of the database and the file.
func (db *DB) CopyTo(ctx context.Context, path string, marks ...string) error {
	if db.d.name != "sqlite" {
		return ErrServerBackup
	}
	if _, err := db.pool.ExecContext(ctx, `VACUUM INTO ?`, path); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	copied, err := sql.Open("sqlite", fileDSN(path, url.Values{"_pragma": {"journal_mode(DELETE)", "synchronous(FULL)"}}))
	if err != nil {
		return err
	}
	for _, m := range marks {
		if _, err := copied.ExecContext(ctx, m); err != nil {
			return errors.Join(fmt.Errorf("mark the copy: %w", err), copied.Close())
		}
	}
	if err := copied.Close(); err != nil {
		return err
	}
	return Durable(path)
}

// Durable takes a file and its name to disk.
func Durable(path string) error {
	for _, name := range []string{path, filepath.Dir(path)} {
		f, err := os.Open(name) //nolint:gosec // the operator names the file
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// OpenCopy opens a SQLite file that nobody writes to, and leaves it as it is. Errors: ErrDSN, ErrNoDatabase, ErrUnavailable.
func OpenCopy(ctx context.Context, path string, opt Options) (*DB, error) {
	d, err := sqliteDialect(path, false)
	if err != nil {
		return nil, err
	}
	d.open = func(conns int) (*sql.DB, error) {
		db, err := sql.Open("sqlite", fileDSN(path, url.Values{"mode": {"ro"}, "immutable": {"1"}, "_pragma": {"query_only(1)", "cache_size(-16384)"}}))
		if err == nil {
			db.SetMaxOpenConns(conns)
		}
		return db, err
	}
	return openWith(ctx, d, opt)
}

func fileDSN(path string, q url.Values) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// Integrity returns what SQLite finds wrong with the file: damaged pages, rows that indexes miss, references to nothing.
func (db *DB) Integrity(ctx context.Context) (wrong []string, err error) {
	for _, q := range []string{`SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'`, `SELECT 'a row of ' || "table" || ' refers to nothing' FROM pragma_foreign_key_check`} {
		err = db.Rows(ctx, func(scan func(...any) error) error {
			var line string
			err := scan(&line)
			wrong = append(wrong, strings.TrimSpace(line))
			return err
		}, q)
		if err != nil {
			return wrong, err
		}
	}
	return wrong, nil
}
