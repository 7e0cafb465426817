package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"ellis.example/idp/internal/fault"
)

// ErrDSN says what a data source name must look like.
var ErrDSN = fault.New(fault.Invalid, "database_dsn",
	`write the database as "sqlite:PATH", for example sqlite:/var/lib/ellis/data.db, or as "postgres://USER@HOST/NAME"`)

// ErrNoDatabase says that a file that has to exist does not.
var ErrNoDatabase = fault.New(fault.NotFound, "database_missing", "there is no such database file")

// dialect is what differs between databases.
type dialect struct {
	name   string // also the folder of its migrations
	goose  goose.Dialect
	locker func() ([]goose.ProviderOption, error)

	bind      func(query string) string
	clean     func(args []any) []any // nil: arguments go as they are
	begin     string
	flies     bool          // statements are sent several at a time
	serialize string        // statement that takes one key for the rest of the transaction; "": there is one writer anyway
	share     string        // statement that takes one key beside others who do
	unhurried string        // statement that lets the statements of a transaction take their time; "": they do anyway
	patience  time.Duration // for one transaction or read; 0: none
	knock     time.Duration // for the beginning of a transaction, where statements fly
	tables    string        // tells whether a table exists

	broken  func(error) breach
	settled func(error) bool // whether an error of COMMIT says that nothing was written; nil: they all do
	open    func(conns int) (*sql.DB, error)
}

// breach is what an error of a statement means.
type breach int

const (
	other   breach = iota
	unique         // a unique or primary key
	again          // another transaction was in the way: run this one again
	crossed        // the same, and each was in the other's way
)

// parse finds the dialect of a data source name. create makes a missing SQLite file. Errors: ErrDSN, ErrNoDatabase.
func parse(dsn string, create bool) (*dialect, error) {
	switch scheme, rest, _ := strings.Cut(dsn, ":"); scheme {
	case "sqlite":
		return sqliteDialect(rest, create)
	case "postgres", "postgresql":
		return postgresDialect(dsn)
	}
	return nil, ErrDSN
}

const busyTimeout = 10 * time.Second // another process's commit takes far less; its migration may take this long

func sqliteDialect(path string, create bool) (*dialect, error) {
	if path == "" || strings.ContainsAny(path, "?#") {
		return nil, ErrDSN
	}
	if err := sqliteFile(path, create); err != nil {
		return nil, err
	}
	return &dialect{
		name: "sqlite", goose: goose.DialectSQLite3, locker: func() ([]goose.ProviderOption, error) { return nil, nil },
		bind:   strings.NewReplacer(" FOR UPDATE", "", " FOR SHARE", "", " AS BYTEA)", " AS BLOB)").Replace,
		begin:  "BEGIN IMMEDIATE",
		tables: `SELECT count(*) FROM sqlite_master WHERE name = ?`,
		broken: sqliteBreach,
		open: func(conns int) (*sql.DB, error) {
			db, err := sql.Open("sqlite", sqliteDSN(path))
			if err == nil {
				db.SetMaxOpenConns(conns)
				db.SetMaxIdleConns(conns)
			}
			return db, err
		},
	}, nil
}

// sqliteFile makes a new database file readable by its owner only; SQLite gives its companions the same mode.
func sqliteFile(path string, create bool) error {
	if !create {
		if _, err := os.Stat(path); err != nil {
			return ErrNoDatabase.Because(err)
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	return errors.Join(private(f), f.Close())
}

// private takes a file away from everybody but its owner and group.
func private(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Mode().Perm()&0o007 == 0 {
		return err
	}
	return f.Chmod(info.Mode().Perm() &^ 0o007)
}

// sqliteDSN sets what every connection needs: a commit is on disk when it returns (WAL with synchronous=FULL), and waits
// for other processes instead of failing.
func sqliteDSN(path string) string {
	q := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "cache_size(-4096)", "journal_size_limit(67108864)",
		"temp_store(2)", // what a statement or savepoint may have to undo is kept in memory, and not written to a file
	}}
	return fileDSN(path, q)
}

func sqliteBreach(err error) breach {
	var e *sqlite.Error
	if errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY) {
		return unique
	}
	return other
}

// readers is how many connections read.
func readers() int { return max(8, 4*runtime.GOMAXPROCS(0)) }

// within bounds ctx by the dialect's patience.
func (d *dialect) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.patience == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d.patience)
}

// briefly is within for the read of a row. Where nothing bounds it, it takes microseconds: a context that can end costs two
// goroutines to watch it, which is more than the read itself.
func (d *dialect) briefly(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.patience == 0 {
		return context.WithoutCancel(ctx), func() {}
	}
	return d.within(ctx)
}
