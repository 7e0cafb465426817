package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/admin"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/store/sqlstore"
)

// withStore opens the database of a command, sees that its schema is ours, and closes it afterwards.
func withStore(cmd *cobra.Command, f func(ctx context.Context, st *sqlstore.Store) error) (err error) {
	return withDatabase(cmd, true, func(ctx context.Context, st *sqlstore.Store) error {
		if err := st.CheckSchema(ctx); err != nil {
			return err
		}
		return f(ctx, st)
	})
}

// withDatabase is withStore for any schema. A database that has to exist is not made where a path was mistyped.
func withDatabase(cmd *cobra.Command, existing bool, f func(ctx context.Context, st *sqlstore.Store) error) (err error) {
	dsn, err := need(cmd, "database", "sqlite:/var/lib/idp/idp.db")
	if err != nil {
		return err
	}
	st, err := sqlstore.Open(cmd.Context(), dsn, sqlstore.Options{Clock: clock.System{}, Existing: existing})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return f(cmd.Context(), st)
}

// newRing opens the keys of a command.
func newRing(cmd *cobra.Command, st *sqlstore.Store) (*keyring.Ring, error) {
	s, err := newSealer(cmd.Context(), cmd, st)
	if err != nil {
		return nil, err
	}
	ext, err := readSigner(cmd)
	if err != nil {
		return nil, err
	}
	return keyring.New(keyring.Deps{Store: st, Commit: st, Seal: s, Clock: clock.System{}, Actor: operator(), External: ext}), nil
}

// withAdmin opens what the registry of clients and APIs needs. Keys are made where a registration asks for an algorithm
// that has none.
func withAdmin(cmd *cobra.Command, f func(ctx context.Context, a *admin.Admin) error) error {
	return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error {
		ring, err := newRing(cmd, st)
		if err != nil {
			return err
		}
		return f(ctx, admin.New(admin.Deps{Store: st, Commit: st, Clock: clock.System{}, Keys: ring}))
	})
}

// withReadAdmin is withAdmin for commands that never make a key, and so need no key-encryption key.
func withReadAdmin(cmd *cobra.Command, f func(ctx context.Context, a *admin.Admin) error) error {
	return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error {
		return f(ctx, admin.New(admin.Deps{Store: st, Commit: st, Clock: clock.System{}}))
	})
}

func newMigrate() *cobra.Command {
	cmd := &cobra.Command{Use: "migrate", Short: "Bring the database's schema up to date, or show where it is"}
	databaseFlags(cmd.PersistentFlags())
	cmd.AddCommand(&cobra.Command{
		Use: "up", Short: "Apply what is missing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDatabase(cmd, false, func(ctx context.Context, st *sqlstore.Store) error {
				done, err := st.Migrate(ctx)
				if err != nil {
					return err
				}
				return say(cmd, map[string]any{"applied": append([]sqldb.Migration{}, done...)}, migrationLines(done, "nothing to do")...)
			})
		},
	}, &cobra.Command{
		Use: "status", Short: "Show each step and whether it was applied", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDatabase(cmd, true, func(ctx context.Context, st *sqlstore.Store) error {
				list, err := st.Migrations(ctx)
				if err != nil {
					return err
				}
				if err := say(cmd, map[string]any{"migrations": list}, migrationLines(list, "no migrations")...); err != nil {
					return err
				}
				if err := st.CheckSchema(ctx); errors.Is(err, sqlstore.ErrNewerSchema) {
					return err
				}
				return nil
			})
		},
	})
	return cmd
}

func migrationLines(list []sqldb.Migration, none string) (out []string) {
	for _, m := range list {
		state := "pending"
		if m.Applied {
			state = "applied"
		}
		out = append(out, fmt.Sprintf("%-8s %s", state, m.Name))
	}
	if out == nil {
		return []string{none}
	}
	return out
}
