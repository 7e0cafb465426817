package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/config"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/unit"
	"ellis.example/caseservice/internal/witness"
)

func newLedgerBeginCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "begin", Short: "Begin a file of signed checkpoints, for a replica that is added or in place of one that is lost", Args: cobra.NoArgs,
		Long: "Begin a file of signed checkpoints: record that, and sign in it where every chain stands.\n\n" +
			"`caseservice serve` begins its file by itself in the first hour in which checkpoints of a database are kept. After that a\n" +
			"file that is not there, or holds none, is refused: a name may be wrong, a disk may be missing, and nothing else tells a\n" +
			"database that was set back. Before you run this, make sure of the database, with `caseservice ledger verify` and the other\n" +
			"witnesses. A file that holds checkpoints is left as it is.",
	}
	s.flags(cmd.Flags(), "database", "audience", "checkpoint-file", codeKey+"-file")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if s.checkpoints == "" {
			return &config.Error{Where: "--checkpoint-file", Problem: "name the file that is begun"}
		}
		code, err := config.Key(cmd.Flags(), prefix, codeKey)
		if err != nil {
			return err
		}
		key, err := ledger.NewKey(code)
		if err != nil {
			return err
		}
		return s.withLedger(cmd.Context(), func(r *sqlstore.Store) error {
			c := &witness.Checkpointer{Log: r, Key: key, Origin: s.audience, File: s.checkpoints, Now: clock.System{}.Now}
			err := c.Begin(cmd.Context(), func() error { return recordBegun(cmd.Context(), r, operation("").Actor, s.checkpoints) })
			if err != nil {
				return err
			}
			return show(cmd, *asJSON, struct {
				File string `json:"file"`
			}{s.checkpoints}, fmt.Sprintf("%s is begun: what is recorded from now on has a witness there", s.checkpoints))
		})
	}
	return cmd
}

// recordBegun records that a file of checkpoints is begun.
func recordBegun(ctx context.Context, store *sqlstore.Store, actor, file string) error {
	entry := operation("checkpoints.begin")
	entry.Actor, entry.Reason = actor, "file="+file
	return store.Commit(ctx, unit.Unit{Event: entry})
}
