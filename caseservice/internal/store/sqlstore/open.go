package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/unit"
)

// Options say what to open and how.
type Options struct {
	Database string      // "sqlite:PATH"
	Role     string      // begins the name of this process's ledger chain: "serve", "command"
	Existing bool        // a missing database is an error, not a new one
	Clock    clock.Clock // clock.System when nil
	Log      *slog.Logger
	Observe  func(batch int, took time.Duration) // called after each commit, if set
}

// Store is the service's data. It is safe for concurrent use, and several processes may open one file.
type Store struct {
	read   *sql.DB
	write  *sql.DB
	stmts  statements
	writer *writer
}

var (
	_ cases.Reader      = (*Store)(nil)
	_ cases.ClaimReader = (*Store)(nil)
	_ ledger.Reader     = (*Store)(nil)
	_ unit.Committer    = (*Store)(nil)
)

const (
	readers     = 8
	busyTimeout = 10 * time.Second // another process's commit takes far less; its migration may take this long
)

// Open opens the database, brings its schema up to date and starts the writer. Errors: *NewerSchemaError, or what the
// driver says.
func Open(ctx context.Context, o Options) (*Store, error) {
	path, err := sqlitePath(o.Database)
	if err != nil {
		return nil, err
	}
	if o.Existing {
		err = exists(path)
	} else {
		err = createFile(path)
	}
	if err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{}
	if s.write, err = sql.Open("sqlite", dsn(path, "immediate")); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dsn(path, "deferred", "query_only(1)")); err != nil {
		return nil, errors.Join(err, s.write.Close())
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if err = up(ctx, s.write); err == nil {
		err = s.stmts.prepare(ctx, s.read)
	}
	if err != nil {
		return nil, errors.Join(err, s.read.Close(), s.write.Close())
	}
	s.writer = startWriter(s.write, o, ident.New(o.Role))
	return s, nil
}

// Close lets the units that are queued become durable, refuses new ones, and closes the database.
func (s *Store) Close() error {
	s.writer.stop()
	return errors.Join(s.read.Close(), s.write.Close())
}

// Commit implements unit.Committer.
func (s *Store) Commit(ctx context.Context, u unit.Unit) error { return s.writer.commit(ctx, u) }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.read.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

// sqlitePath takes the path out of a database setting.
func sqlitePath(database string) (string, error) {
	path, ok := strings.CutPrefix(database, "sqlite:")
	if !ok || path == "" {
		return "", fmt.Errorf("database: %q is not of the form sqlite:PATH", database)
	}
	return path, nil
}

// createFile makes a new database file readable by its owner only; SQLite gives its companions the same mode.
func createFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	return f.Close()
}

// exists refuses to take a missing database for an empty one.
func exists(path string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is no database: %w", err)
	}
	return nil
}

var dsnPath = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23")

// dsn sets what every connection needs: a commit is on disk when it returns (WAL with synchronous=FULL), and waits for
// other processes instead of failing.
func dsn(path, lock string, extra ...string) string {
	pragmas := append([]string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "journal_size_limit(67108864)",
	}, extra...)
	return "file:" + dsnPath.Replace(path) + "?_txlock=" + lock + "&_pragma=" + strings.Join(pragmas, "&_pragma=")
}
