package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ellis.example/caseservice/internal/config"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/sqldb"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/unit"
)

func newBackupCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "backup --to FILE", Short: "Write a verified copy of a SQLite database into a new file, while it is served", Args: cobra.NoArgs,
		Long: "Write a copy of the database into a new file that only its owner reads, while the service goes on.\n\n" +
			"The copy is consistent, on disk, and verified (pages, schema, every chain of the ledger) before this says so. The key of\n" +
			"claim codes is no part of it and has to be kept elsewhere.\n\n" +
			"PostgreSQL is backed up by its own means, pg_basebackup with archived WAL: see docs/operations/backup.md.",
		Example: "  caseservice backup --to /backup/cases-2026-11-28T0600.db --database sqlite:/var/lib/caseservice/cases.db --json",
	}
	s.flags(cmd.Flags(), "database")
	to := cmd.Flags().String("to", "", "the new file")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.checkDatabase(); err != nil {
			return err
		}
		if *to == "" {
			return &config.Error{Where: "--to", Problem: "name the new file"}
		}
		b, err := s.backUp(cmd.Context(), *to)
		if err != nil {
			return err
		}
		return show(cmd, *asJSON, b, b.text())
	}
	return cmd
}

// backup is what `backup` and `restore --from` print.
type backup struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	sqlstore.Holdings
}

func (b backup) text() string {
	return fmt.Sprintf("%s: %d bytes, SHA-256 %s\n%s", b.File, b.Bytes, b.SHA256, b.Holdings)
}

// errCopied is why a restored copy is not backed up: the record of it would be a write, and nothing is in it yet that is not in
// what it was restored from.
var errCopied = errors.New("nothing is backed up before it is accepted: what it was restored from is its backup")

// backUp makes a copy, verifies it, and records that it was made.
func (s *settings) backUp(ctx context.Context, file string) (b backup, err error) {
	store, err := sqlstore.Open(ctx, sqlstore.Options{Database: s.database, Role: "command", Existing: true})
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if is, err := store.IsCopy(ctx); err != nil {
		return b, err
	} else if is {
		return b, epoch.ErrCopy.Because(errCopied)
	}
	err = sqldb.Place(file, func(part string) error {
		if err := store.Backup(ctx, part); err != nil {
			return err
		}
		b, err = checkCopy(ctx, part)
		return err
	})
	if err != nil {
		return b, err
	}
	b.File = file
	entry := operation("backup.made")
	entry.Reason = "sha256=" + b.SHA256
	return b, store.Commit(ctx, unit.Unit{Event: entry})
}

// checkCopy verifies a backup and says what it holds.
func checkCopy(ctx context.Context, file string) (b backup, err error) {
	b.File = file
	if b.SHA256, b.Bytes, err = sqldb.Digest(file); err != nil {
		return b, err
	}
	store, err := sqlstore.OpenCopy(ctx, file)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	b.Holdings, err = store.CheckCopy(ctx)
	return b, err
}
