package sqlstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/sqldb"
	"ellis.example/caseservice/internal/unit"
	"ellis.example/caseservice/internal/witness"
)

//go:embed migrations
var migrations embed.FS

// The faults of a store.
var (
	ErrUnavailable = sqldb.ErrUnavailable
	ErrClosed      = sqldb.ErrClosed
	ErrNewerSchema = sqldb.ErrNewerSchema
)

// Options say what to open and how.
type Options struct {
	Database string      // "sqlite:PATH" or "postgres://…"
	Role     string      // begins the name of this process's ledger chain: "serve", "command"
	Existing bool        // a missing SQLite file is an error, not a new database
	Clock    clock.Clock // clock.System when nil
	Log      *slog.Logger
	Observe  func(batch int, took time.Duration) // called after each commit, if set
	Waited   func(time.Duration)                 // told of each commit how long its first unit had waited, if set
	Trace    func(ctx context.Context) func(units int, err error)
}

// Store is the service's data. It is safe for concurrent use, and several processes may use one database.
type Store struct {
	db    *sqldb.DB
	watch *sqldb.Watch
}

var (
	_ cases.Reader      = (*Store)(nil)
	_ cases.ClaimReader = (*Store)(nil)
	_ ledger.Reader     = (*Store)(nil)
	_ witness.Log       = (*Store)(nil)
	_ unit.Committer    = (*Store)(nil)
)

// Open opens the database, brings its schema up to date where it is older, and starts the writer. Errors: ErrNewerSchema,
// sqldb.ErrDSN, sqldb.ErrNoDatabase, ErrUnavailable.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	w := newWatch(o.Clock)
	db, err := openDB(ctx, o, guard(w))
	if err != nil {
		return nil, err
	}
	if err := db.CheckSchema(ctx); errors.Is(err, sqldb.ErrOlderSchema) {
		_, err = db.Migrate(ctx)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("bring the schema up to date: %w", err), db.Close())
		}
	} else if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{db, w}, nil
}

func openDB(ctx context.Context, o Options, guard func(*sqldb.Tx) error) (*sqldb.DB, error) {
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return sqldb.Open(ctx, o.Database, sqldb.Options{
		Migrations: steps, Chain: ledgerChain{}, Role: o.Role, Existing: o.Existing, Clock: o.Clock, Log: o.Log, Observe: o.Observe, Waited: o.Waited,
		Guard: guard, Trace: o.Trace,
	})
}

// Close lets the units that are queued become durable, refuses new ones, and closes the database.
func (s *Store) Close() error { return s.db.Close() }

// Metrics is what can be seen of the database at a moment, under names that begin with prefix; of a nil Store, their names.
func (s *Store) Metrics(prefix string) prometheus.Collector {
	if s == nil {
		return (*sqldb.DB)(nil).Metrics(prefix)
	}
	return s.db.Metrics(prefix)
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Commit implements unit.Committer.
func (s *Store) Commit(ctx context.Context, u unit.Unit) error {
	if len(u.Writes) == 0 {
		return s.db.Commit(ctx, nil, u.Event)
	}
	apply := func(t *sqldb.Tx) error {
		for _, w := range u.Writes {
			if err := applyWrite(t, w); err != nil {
				return err
			}
		}
		return nil
	}
	if raises(u) {
		return s.db.Alone(ctx, apply, u.Event)
	}
	return s.db.Commit(ctx, apply, u.Event)
}

// SchemaStatus is what `migrate status` shows.
type SchemaStatus struct {
	Current int64 `json:"current"` // version of the database; 0 is an empty one
	Known   int64 `json:"known"`   // newest version that this release knows
}

// Migrate brings the schema up to date and returns where it was before and is now. Errors: ErrNewerSchema.
func Migrate(ctx context.Context, database string) (before, after SchemaStatus, err error) {
	err = withSchema(ctx, database, false, func(db *sqldb.DB) error {
		if before, err = statusOf(ctx, db); err != nil {
			return err
		}
		if _, err := db.Migrate(ctx); err != nil {
			return err
		}
		after, err = statusOf(ctx, db)
		return err
	})
	return before, after, err
}

// Status returns the state of the schema of a database that exists, without changing it. Errors: ErrNewerSchema.
func Status(ctx context.Context, database string) (st SchemaStatus, err error) {
	err = withSchema(ctx, database, true, func(db *sqldb.DB) error {
		st, err = statusOf(ctx, db)
		return err
	})
	return st, err
}

func withSchema(ctx context.Context, database string, existing bool, do func(*sqldb.DB) error) error {
	db, err := openDB(ctx, Options{Database: database, Role: "command", Existing: existing}, nil)
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close())
}

func statusOf(ctx context.Context, db *sqldb.DB) (st SchemaStatus, err error) {
	if st.Current, st.Known, err = db.Schema(ctx); err == nil && st.Current > st.Known {
		err = db.CheckSchema(ctx)
	}
	return st, err
}
