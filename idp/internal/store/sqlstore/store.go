package sqlstore

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/unit"
)

// Options say how to open a store. Zero values mean the defaults of sqldb.Options.
type Options struct {
	Clock    clock.Clock
	Log      *slog.Logger
	Role     string // begins the name of this process's chain; "": that of sqldb
	Existing bool   // a missing SQLite file is an error, not a new database
	MaxQueue int    // units waiting for the writer before Commit answers Unavailable
	MaxBatch int    // units in one transaction
	Observe  func(units int, took time.Duration)
	Waited   func(time.Duration) // told of each commit how long its first unit had waited
	Trace    func(ctx context.Context) func(units int, err error)
}

// Store is the lasting store. It is safe for concurrent use.
type Store struct {
	db        *sqldb.DB
	condition func() unit.Write // of every write; nil: none
	fed       *atomic.Pointer[func()]
	watch     *sqldb.Watch
}

//go:embed migrations
var migrations embed.FS

// The faults of a schema that is not this program's.
var (
	ErrNewerSchema = sqldb.ErrNewerSchema
	ErrOlderSchema = sqldb.ErrOlderSchema
)

// Metrics is what can be seen of the database at a moment, under names that begin with prefix.
func (s *Store) Metrics(prefix string) prometheus.Collector { return s.db.Metrics(prefix) }

// Open opens the database that dsn names ("sqlite:PATH", "postgres://…") and starts the writer. It does not migrate. The
// caller ends it with Close. Errors: sqldb.ErrDSN, sqldb.ErrNoDatabase, sqldb.ErrUnavailable.
func Open(ctx context.Context, dsn string, opt Options) (*Store, error) {
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if opt.Clock == nil {
		opt.Clock = clock.System{}
	}
	w := newWatch(opt.Clock)
	db, err := sqldb.Open(ctx, dsn, sqldb.Options{
		Guard: guard(w), Broken: fallenMachines, Migrations: steps, Chain: auditChain{}, Role: opt.Role, Existing: opt.Existing, Clock: opt.Clock, Log: opt.Log, MaxQueue: opt.MaxQueue, MaxBatch: opt.MaxBatch,
		Observe: opt.Observe, Waited: opt.Waited, Trace: opt.Trace,
	})
	if err != nil {
		return nil, err
	}
	st := newStore(db)
	st.watch = w
	return st, nil
}

func newStore(db *sqldb.DB) *Store {
	return &Store{db: db, watch: newWatch(clock.System{}), fed: &atomic.Pointer[func()]{}}
}

// Close ends the writer after the units it has taken, and closes the database.
func (s *Store) Close() error { return s.db.Close() }

// Ping reports whether the database answers reads.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Migrate brings the schema up to what this program knows and returns what it applied. Errors: ErrNewerSchema.
func (s *Store) Migrate(ctx context.Context) ([]sqldb.Migration, error) { return s.db.Migrate(ctx) }

// Migrations lists every step this program knows.
func (s *Store) Migrations(ctx context.Context) ([]sqldb.Migration, error) {
	return s.db.Migrations(ctx)
}

// CheckSchema compares the schema with what this program knows. Errors: ErrNewerSchema, ErrOlderSchema.
func (s *Store) CheckSchema(ctx context.Context) error { return s.db.CheckSchema(ctx) }

// Commit implements unit.Committer.
func (s *Store) Commit(ctx context.Context, u unit.Unit) error {
	var err error
	if raises(u) { // by itself, with all of its writes: a condition of a batch is refused there as a write that nobody knows
		err = s.db.Alone(ctx, s.bound(writing(u.Writes)), u.Event)
	} else {
		conditions, writes := parted(u.Writes)
		err = s.db.CommitIf(ctx, conditions, s.bound(writing(writes)), u.Event)
	}
	if f := s.fed.Load(); err == nil && f != nil && tells(u) {
		(*f)()
	}
	return err
}

// writing applies writes in their order; nil: there are none.
func writing(writes []unit.Write) func(*sqldb.Tx) error {
	if len(writes) == 0 {
		return nil
	}
	return func(t *sqldb.Tx) error {
		for _, w := range writes {
			if err := applyWrite(t, w); err != nil {
				return err
			}
		}
		return nil
	}
}
