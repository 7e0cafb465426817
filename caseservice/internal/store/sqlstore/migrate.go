package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

// NewerSchemaError says that a newer release has written the database.
type NewerSchemaError struct {
	Database, Binary int64 // schema versions
}

// Error implements error.
func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("the database has schema %d, and this release knows schemas up to %d: start the release that wrote it, or restore a backup made before it ran",
		e.Database, e.Binary)
}

// SchemaStatus is what `migrate status` shows.
type SchemaStatus struct {
	Current int64 `json:"current"` // version of the database; 0 is an empty one
	Known   int64 `json:"known"`   // newest version that this release knows
}

// Migrate brings the schema up to date and returns where it was before and is now.
func Migrate(ctx context.Context, database string) (before, after SchemaStatus, err error) {
	err = withProvider(database, createFile, func(p *goose.Provider) error {
		if before, err = schemaOf(ctx, p); err != nil {
			return err
		}
		if err = upWith(ctx, p); err != nil {
			return err
		}
		after, err = schemaOf(ctx, p)
		return err
	})
	return before, after, err
}

// Status returns the state of the schema of a database that exists, without changing it.
func Status(ctx context.Context, database string) (st SchemaStatus, err error) {
	err = withProvider(database, exists, func(p *goose.Provider) error {
		st, err = schemaOf(ctx, p)
		return err
	})
	return st, err
}

func withProvider(database string, file func(path string) error, do func(*goose.Provider) error) error {
	path, err := sqlitePath(database)
	if err != nil {
		return err
	}
	if err := file(path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(path, "immediate"))
	if err != nil {
		return err
	}
	p, err := provider(db)
	if err == nil {
		err = do(p)
	}
	return errors.Join(err, db.Close())
}

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithLogger(goose.NopLogger()))
}

func schemaOf(ctx context.Context, p *goose.Provider) (st SchemaStatus, err error) {
	st.Current, st.Known, err = p.GetVersions(ctx)
	if err == nil && st.Current > st.Known {
		err = &NewerSchemaError{Database: st.Current, Binary: st.Known}
	}
	return st, err
}

// up brings the schema of db up to date.
func up(ctx context.Context, db *sql.DB) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	return upWith(ctx, p)
}

// upWith applies what is pending. Two processes may start at once: the one that comes second fails on a table that
// exists already, looks again, and finds the work done.
func upWith(ctx context.Context, p *goose.Provider) error {
	st, err := schemaOf(ctx, p)
	if err != nil || st.Current == st.Known {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		if st, again := schemaOf(ctx, p); again == nil && st.Current == st.Known {
			return nil
		}
		return fmt.Errorf("bring the schema up to date: %w", err)
	}
	return nil
}
