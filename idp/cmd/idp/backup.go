package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/audit"
	epochs "ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/unit"
)

func newBackup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Write a verified copy of a SQLite database into a new file, while it is served", Args: cobra.ExactArgs(1),
		Long: `Write a copy of the database into a new file that only its owner reads, while the provider serves.

The copy is consistent, on disk, and verified (pages, schema, every chain of the audit) before this says so.
It holds what the database holds: signing keys and seeds of authenticator apps are sealed under the
key-encryption key, which is no part of it and has to be kept elsewhere.

PostgreSQL is backed up by its own means: see docs/operations/backup.md.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error {
				b, err := backUp(ctx, st, args[0])
				if err != nil {
					return err
				}
				return say(cmd, b, fmt.Sprintf("%s: %d bytes, SHA-256 %s", b.File, b.Bytes, b.SHA256), b.Holdings.String())
			})
		},
	}
	databaseFlags(cmd.Flags())
	return cmd
}

// backup is what `backup` prints.
type backup struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	sqlstore.Holdings
}

// errCopied is why a restored copy is not backed up: the record of it would be a write, and nothing is in it yet that is not in
// what it was restored from.
var errCopied = errors.New("nothing is backed up before it is accepted: what it was restored from is its backup")

// backUp makes a copy, verifies it, and records that it was made.
func backUp(ctx context.Context, st *sqlstore.Store, file string) (b backup, err error) {
	if is, err := st.IsCopy(ctx); err != nil {
		return b, err
	} else if is {
		return b, epochs.ErrCopy.Because(errCopied)
	}
	err = sqldb.Place(file, func(part string) error {
		if err := st.Backup(ctx, part); err != nil {
			return err
		}
		b, err = checkCopy(ctx, part)
		return err
	})
	if err != nil {
		return b, err
	}
	b.File = file
	return b, st.Commit(ctx, unit.Unit{Event: audit.Event{Type: "backup.made", Outcome: audit.Allowed, Actor: operator(), Detail: map[string]string{"sha256": b.SHA256}}})
}

// checkCopy verifies a backup and says what it holds.
func checkCopy(ctx context.Context, file string) (b backup, err error) {
	b.File = file
	if b.SHA256, b.Bytes, err = sqldb.Digest(file); err != nil {
		return b, err
	}
	st, err := sqlstore.OpenCopy(ctx, file)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	b.Holdings, err = st.CheckCopy(ctx)
	return b, err
}
