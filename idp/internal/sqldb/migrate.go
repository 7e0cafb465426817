package sqldb

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"

	"github.com/pressly/goose/v3"

	"ellis.example/idp/internal/fault"
)

// The faults of a schema that is not this program's.
var (
	ErrNewerSchema = fault.New(fault.Conflict, "schema_newer", "the database has a newer schema than this program: run the newer release, or restore a backup made by this one")
	ErrOlderSchema = fault.New(fault.Conflict, "schema_older", "the database has an older schema than this program: run `migrate up`")
)

func (db *DB) goose() (*goose.Provider, error) {
	dir, err := fs.Sub(db.opt.Migrations, db.d.name)
	if err != nil {
		return nil, err
	}
	locked, err := db.d.locker()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(db.d.goose, db.pool, dir, append(locked, goose.WithLogger(goose.NopLogger()))...)
}

// Migration is one step of the schema.
type Migration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// Migrate brings the schema up to what this program knows and returns what it applied. On PostgreSQL it holds an advisory
// lock meanwhile. Errors: ErrNewerSchema.
func (db *DB) Migrate(ctx context.Context) ([]Migration, error) {
	if err := db.CheckSchema(ctx); !fault.Is(err, fault.Conflict) || fault.Of(err).Is(ErrNewerSchema) {
		return nil, err
	}
	var out []Migration
	for try := 0; ; try++ {
		p, err := db.goose()
		if err != nil {
			return nil, err
		}
		var done []*goose.MigrationResult
		if err = db.promise(ctx, p.ListSources()); err == nil {
			done, err = p.Up(ctx)
		}
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
func (db *DB) Migrations(ctx context.Context) ([]Migration, error) {
	p, err := db.goose()
	if err != nil {
		return nil, err
	}
	have, err := db.schema(ctx)
	if err != nil {
		return nil, err
	}
	var out []Migration
	for _, src := range p.ListSources() {
		out = append(out, Migration{src.Version, src.Path, src.Version <= have})
	}
	return out, nil
}

// CheckSchema compares the schema with what this program knows: nil when they are the same, or when every step that this
// program does not know says that it works with it. Errors: ErrNewerSchema, ErrOlderSchema.
func (db *DB) CheckSchema(ctx context.Context) error {
	have, want, err := db.Schema(ctx)
	switch {
	case err != nil:
		return err
	case have > want:
		if works, err := db.worksWith(ctx, want); works || err != nil {
			return err
		}
		return ErrNewerSchema.Because(fmt.Errorf("the database is at %d, this program at %d", have, want))
	case have < want:
		return ErrOlderSchema.Because(fmt.Errorf("the database is at %d, this program at %d", have, want))
	}
	return nil
}

// Schema returns the version of the database, 0 when it is empty, and the newest that this program knows.
func (db *DB) Schema(ctx context.Context) (have, want int64, err error) {
	if have, err = db.schema(ctx); err != nil {
		return 0, 0, err
	}
	want, err = db.newest()
	return have, want, err
}

// schema returns the version of the database; 0 when it is empty.
func (db *DB) schema(ctx context.Context) (int64, error) {
	var there int
	if err := db.Row(ctx, db.d.tables, goose.DefaultTablename).Scan(&there); err != nil || there == 0 {
		return 0, err
	}
	var v int64
	// Not prepared: it is asked once, and the table has just been made in some cases.
	err := db.pool.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&v)
	return v, Down(err)
}

// newest is the last version among the embedded steps.
func (db *DB) newest() (v int64, err error) {
	files, err := fs.Glob(db.opt.Migrations, db.d.name+"/*.sql")
	for _, f := range files {
		n, err := goose.NumericComponent(f)
		if err != nil {
			return 0, err
		}
		v = max(v, n)
	}
	return v, err
}

// worksWithMark is the line of a migration that names the oldest step whose programs go on beside it.
var worksWithMark = regexp.MustCompile(`(?m)^-- works-with: ([0-9]+)$`)

// stepsTable holds what the marks of migrations say, for programs that do not have the migrations.
const stepsTable = "schema_steps"

// promise keeps the marks of the steps that are about to be applied. A step that is not applied after all promises nothing.
func (db *DB) promise(ctx context.Context, list []*goose.Source) error {
	have, err := db.schema(ctx)
	if err == nil {
		_, err = db.pool.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+stepsTable+` (version BIGINT PRIMARY KEY, works_with BIGINT NOT NULL)`)
	}
	if err != nil {
		return Down(err)
	}
	for _, src := range list {
		text, err := fs.ReadFile(db.opt.Migrations, db.d.name+"/"+path.Base(src.Path))
		if err != nil {
			return err
		}
		mark := worksWithMark.FindSubmatch(text)
		if mark == nil || src.Version <= have {
			continue
		}
		oldest, err := strconv.ParseInt(string(mark[1]), 10, 64)
		if err != nil {
			return fmt.Errorf("%s: works-with: %w", src.Path, err)
		}
		if _, err := db.pool.ExecContext(ctx, db.d.bind(`INSERT INTO schema_steps (version, works_with) VALUES (?,?) ON CONFLICT (version) DO UPDATE SET works_with = excluded.works_with`), src.Version, oldest); err != nil {
			return Down(err)
		}
	}
	return nil
}

// worksWith reports whether every step behind one of this program says that it works with it.
func (db *DB) worksWith(ctx context.Context, mine int64) (works bool, err error) {
	var there int
	if err := db.Row(ctx, db.d.tables, stepsTable).Scan(&there); err != nil || there == 0 {
		return false, err
	}
	err = db.pool.QueryRowContext(ctx, db.d.bind(`SELECT NOT EXISTS (SELECT 1 FROM goose_db_version g WHERE g.is_applied AND g.version_id > ?
		AND NOT EXISTS (SELECT 1 FROM schema_steps s WHERE s.version = g.version_id AND s.works_with <= ?))`), mine, mine).Scan(&works)
	return works, Down(err)
}
