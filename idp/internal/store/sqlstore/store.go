package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"sync"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"

	_ "modernc.org/sqlite" // the driver named "sqlite"
)

// Options say how to open a store. Zero values mean the defaults given.
type Options struct {
	Clock    clock.Clock // clock.System
	MaxQueue int         // units waiting for the writer before Commit answers Unavailable: 1024
	MaxBatch int         // units in one transaction: 128
}

// Store is the lasting store. It is safe for concurrent use.
type Store struct {
	clk    clock.Clock
	pool   *sql.DB // reads
	single *sql.DB // the writer's one connection
	w      *writer

	mu    sync.RWMutex
	stmts map[string]*sql.Stmt
}

// ErrDSN says what a data source name must look like.
var ErrDSN = fault.New(fault.Invalid, "database_dsn", `write the database as "sqlite:PATH", for example sqlite:/var/lib/idp/idp.db`)

// Open opens the database that dsn names ("sqlite:PATH") and starts the writer. It does not migrate. The caller ends it
// with Close. Errors: ErrDSN; what the driver says.
func Open(ctx context.Context, dsn string, opt Options) (*Store, error) {
	path, ok := strings.CutPrefix(dsn, "sqlite:")
	if !ok || path == "" || strings.ContainsAny(path, "?#") {
		return nil, ErrDSN
	}
	if opt.Clock == nil {
		opt.Clock = clock.System{}
	}
	s := &Store{clk: opt.Clock, stmts: map[string]*sql.Stmt{}}
	var err error
	if s.single, err = connect(ctx, path, 1); err != nil {
		return nil, err
	}
	if s.pool, err = connect(ctx, path, max(4, 2*runtime.GOMAXPROCS(0))); err != nil {
		return nil, errors.Join(err, s.single.Close())
	}
	if s.w, err = newWriter(ctx, s.single, opt); err != nil {
		return nil, errors.Join(err, s.pool.Close(), s.single.Close())
	}
	return s, nil
}

// connect opens path with what every connection needs: WAL, an fsync per commit, foreign keys, patience with writers of
// other processes.
func connect(ctx context.Context, path string, conns int) (*sql.DB, error) {
	q := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "cache_size(-4096)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	return db, nil
}

// Close ends the writer after the units it has taken, and closes the database.
func (s *Store) Close() error {
	s.w.stop()
	return errors.Join(s.pool.Close(), s.single.Close())
}

// Ping reports whether the database answers reads.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return down(s.row(ctx, `SELECT 1`).Scan(&one))
}

// prepared returns the statement of a constant query, prepared once for the life of the store.
func (s *Store) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.RLock()
	st := s.stmts[query]
	s.mu.RUnlock()
	if st != nil {
		return st, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.stmts[query]; st != nil {
		return st, nil
	}
	st, err := s.pool.PrepareContext(ctx, query)
	if err == nil {
		s.stmts[query] = st
	}
	return st, err
}

// scanner is a row, or the error that stood in its way.
type scanner struct {
	row *sql.Row
	err error
}

// Scan reads the row. Errors: sql.ErrNoRows, or the fault of a store that is down.
func (r scanner) Scan(dest ...any) error {
	if r.err != nil {
		return down(r.err)
	}
	return down(r.row.Scan(dest...))
}

// row runs a constant query that yields at most one row.
func (s *Store) row(ctx context.Context, query string, args ...any) scanner {
	st, err := s.prepared(ctx, query)
	if err != nil {
		return scanner{err: err}
	}
	return scanner{row: st.QueryRowContext(ctx, args...)}
}

// rows runs a constant query and calls each for every row; each scans it with the function it is given.
func (s *Store) rows(ctx context.Context, each func(scan func(...any) error) error, query string, args ...any) error {
	st, err := s.prepared(ctx, query)
	if err != nil {
		return down(err)
	}
	rs, err := st.QueryContext(ctx, args...)
	if err != nil {
		return down(err)
	}
	defer rs.Close() //nolint:errcheck // rs.Err tells what went wrong
	for rs.Next() {
		if err := each(rs.Scan); err != nil {
			return err
		}
	}
	return down(rs.Err())
}

// down classifies what the driver says: no rows and a cancelled request pass through, the rest is a store that is down.
func down(err error) error {
	var f *fault.Error
	switch {
	case err == nil, errors.Is(err, sql.ErrNoRows), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &f):
		return err
	}
	return errDown.Because(err)
}

// or returns other in place of sql.ErrNoRows.
func or(err, other error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return other
	}
	return err
}
