package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/unit"
)

// The faults of a database that cannot be used now.
var (
	ErrUnavailable = (&fault.Error{Kind: fault.Unavailable, Code: "store_unavailable", Message: "the service cannot reach its storage; try again soon"}).After(2 * time.Second)
	ErrBusy        = (&fault.Error{Kind: fault.Unavailable, Code: "overloaded", Message: "too many requests at once; try again soon"}).After(time.Second)
	ErrClosed      = (&fault.Error{Kind: fault.Unavailable, Code: "shutting_down", Message: "this server is stopping; try again"}).After(time.Second)
)

// Options say how to open a database. Zero values mean the defaults given.
type Options struct {
	Migrations fs.FS                              // folders sqlite and postgres of *.sql
	Chain      Chain                              // where events go
	Role       string                             // begins the name of this process's chain: "wrt"
	Existing   bool                               // a missing SQLite file is an error, not a new database
	Clock      clock.Clock                        // clock.System
	Log        *slog.Logger                       // none
	MaxQueue   int                                // jobs waiting for the writer before one is refused: 2048
	MaxBatch   int                                // jobs in one transaction: 128
	Observe    func(jobs int, took time.Duration) // called after each commit
	// Trace is called where a job begins to wait for its commit, and what it returns where that ends, with how many jobs shared
	// the commit (0: it was given up before) and what came of it.
	Trace  func(ctx context.Context) func(jobs int, err error)
	Waited func(time.Duration) // called before each commit: how long the first job of it waited
	// Guard runs at the beginning of every transaction of the writer but those of Alone, before any job of it. What it
	// returns ends the transaction; a fault goes to the callers as it is. It does best to use Ask.
	Guard func(*Tx) error
	// Broken tells by their numbers which of the conditions of CommitIf do not hold, now or from within Ask; nil where there are
	// none.
	Broken func(t *Tx, conditions []unit.Write, broken func(int)) error
}

// DB is an open database. It is safe for concurrent use; other processes and replicas may use the same one.
type DB struct {
	d      *dialect
	opt    Options
	pool   *sql.DB // reads
	single *sql.DB // the writer's one connection
	w      *writer

	mu    sync.RWMutex
	stmts map[string]*sql.Stmt
}

// Open opens the database that dsn names and starts the writer. It does not migrate. The caller ends it with Close.
// Errors: ErrDSN, ErrNoDatabase, ErrUnavailable.
func Open(ctx context.Context, dsn string, opt Options) (*DB, error) {
	d, err := parse(dsn, !opt.Existing)
	if err != nil {
		return nil, err
	}
	return openWith(ctx, d, opt)
}

func openWith(ctx context.Context, d *dialect, opt Options) (db *DB, err error) {
	if opt.Clock == nil {
		opt.Clock = clock.System{}
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	db = &DB{d: d, opt: opt, stmts: map[string]*sql.Stmt{}}
	if db.single, err = d.open(1); err != nil {
		return nil, err
	}
	if db.pool, err = d.open(readers()); err == nil {
		err = db.ping(ctx)
	}
	if err != nil {
		return nil, errors.Join(ErrUnavailable.Because(err), db.pool.Close(), db.single.Close())
	}
	db.w = newWriter(db)
	return db, nil
}

func (db *DB) ping(ctx context.Context) error {
	ctx, done := db.d.within(ctx)
	defer done()
	return errors.Join(db.single.PingContext(ctx), db.pool.PingContext(ctx))
}

// Close makes durable what was queued, refuses what comes, and closes the database.
func (db *DB) Close() error {
	db.w.stop()
	return errors.Join(db.pool.Close(), db.single.Close())
}

// Ping reports whether the database answers reads.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return db.Row(ctx, `SELECT 1`).Scan(&one)
}

// prepared returns the statement of a constant query, prepared once for the life of the database.
func (db *DB) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	db.mu.RLock()
	st := db.stmts[query]
	db.mu.RUnlock()
	if st != nil {
		return st, nil
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if st := db.stmts[query]; st != nil {
		return st, nil
	}
	st, err := db.pool.PrepareContext(ctx, db.d.bind(query))
	if err == nil {
		db.stmts[query] = st
	}
	return st, err
}

// Row is a row, or the error that stood in its way.
type Row struct {
	scan func(dest ...any) error // in place of row
	row  *sql.Row
	err  error
	done context.CancelFunc
}

// Scan reads the row. Errors: sql.ErrNoRows, ErrUnavailable.
func (r Row) Scan(dest ...any) error {
	if r.done != nil {
		defer r.done()
	}
	if r.err != nil {
		return Down(r.err)
	}
	if r.scan != nil {
		return Down(r.scan(dest...))
	}
	return Down(r.row.Scan(dest...))
}

// Row runs a constant query that yields at most one row.
func (db *DB) Row(ctx context.Context, query string, args ...any) Row {
	if err := ctx.Err(); err != nil {
		return Row{err: err}
	}
	ctx, done := db.d.briefly(ctx)
	st, err := db.prepared(ctx, query)
	if err != nil {
		return Row{err: err, done: done}
	}
	return Row{row: st.QueryRowContext(ctx, db.d.args(args)...), done: done}
}

// Rows runs a constant query and calls each for every row; each scans it with the function it is given. Errors:
// ErrUnavailable, each's own.
func (db *DB) Rows(ctx context.Context, each func(scan func(...any) error) error, query string, args ...any) error {
	ctx, done := db.d.within(ctx)
	defer done()
	st, err := db.prepared(ctx, query)
	if err != nil {
		return Down(err)
	}
	rs, err := st.QueryContext(ctx, db.d.args(args)...)
	return walk(rs, err, each)
}

// walk calls each for every row and closes them.
func walk(rs *sql.Rows, err error, each func(scan func(...any) error) error) error {
	if err != nil {
		return Down(err)
	}
	defer rs.Close() //nolint:errcheck // rs.Err tells what went wrong
	for rs.Next() {
		if err := each(rs.Scan); err != nil {
			return err
		}
	}
	return Down(rs.Err())
}

// Down classifies what a driver says: no rows, a request that ended, conflicts and faults pass through; the rest is a
// database that cannot be used.
func Down(err error) error {
	var f *fault.Error
	switch {
	case err == nil, errors.Is(err, sql.ErrNoRows), errors.Is(err, context.Canceled), errors.As(err, &f):
		return err
	}
	return ErrUnavailable.Because(err)
}

// Or returns instead in place of sql.ErrNoRows.
func Or(err, instead error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return instead
	}
	return err
}
