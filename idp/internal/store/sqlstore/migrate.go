package sqlstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"ellis.example/idp/internal/fault"
)

//go:embed migrations
var migrations embed.FS

// ErrNewerSchema says that the database was made by a later release.
var ErrNewerSchema = fault.New(fault.Conflict, "schema_newer", "the database has a newer schema than this program: run the newer release, or restore a backup made by this one")

// ErrOlderSchema says that the database waits for its migrations.
var ErrOlderSchema = fault.New(fault.Conflict, "schema_older", "the database has an older schema than this program: run `idp migrate up`")

func (s *Store) goose() (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, s.pool, dir)
}

// Migration is one step of the schema.
type Migration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// Migrate brings the schema up to what this program knows and returns what it applied. Errors: ErrNewerSchema.
func (s *Store) Migrate(ctx context.Context) ([]Migration, error) {
	if err := s.CheckSchema(ctx); !fault.Is(err, fault.Conflict) || fault.Of(err).Is(ErrNewerSchema) {
		return nil, err
	}
	var out []Migration
	for try := 0; ; try++ {
		p, err := s.goose()
		if err != nil {
			return nil, err
		}
		done, err := p.Up(ctx)
		for _, r := range done {
			out = append(out, Migration{r.Source.Version, r.Source.Path, true})
		}
		// Another process may have migrated at the same time: each step is a transaction, so the loser looks again.
		if err == nil || try == 9 || ctx.Err() != nil {
			return out, err
		}
	}
}

// Migrations lists every step this program knows.
func (s *Store) Migrations(ctx context.Context) ([]Migration, error) {
	p, err := s.goose()
	if err != nil {
		return nil, err
	}
	have, err := s.schema(ctx)
	if err != nil {
		return nil, err
	}
	var out []Migration
	for _, src := range p.ListSources() {
		out = append(out, Migration{src.Version, src.Path, src.Version <= have})
	}
	return out, nil
}

// CheckSchema compares the schema with what this program knows: nil when they are the same. It is one query. Errors:
// ErrNewerSchema, ErrOlderSchema.
func (s *Store) CheckSchema(ctx context.Context) error {
	have, err := s.schema(ctx)
	if err != nil {
		return err
	}
	want := newest()
	switch {
	case have > want:
		return ErrNewerSchema.Because(fmt.Errorf("the database is at %d, this program at %d", have, want))
	case have < want:
		return ErrOlderSchema.Because(fmt.Errorf("the database is at %d, this program at %d", have, want))
	}
	return nil
}

// schema returns the version of the database; 0 when it is empty.
func (s *Store) schema(ctx context.Context) (int64, error) {
	var there int
	if err := s.pool.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'`).Scan(&there); err != nil || there == 0 {
		return 0, down(err)
	}
	var v int64
	err := s.pool.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&v)
	return v, down(err)
}

// newest is the last version among the embedded steps.
func newest() int64 {
	files, err := fs.Glob(migrations, "migrations/sqlite/*.sql")
	if err != nil {
		return 0
	}
	var v int64
	for _, f := range files {
		if n, err := goose.NumericComponent(f); err == nil {
			v = max(v, n)
		}
	}
	return v
}
