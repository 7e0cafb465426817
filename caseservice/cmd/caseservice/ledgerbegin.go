package main

import (
	"context"
	"errors"
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
	var v vouching
	cmd := &cobra.Command{
		Use: "begin", Short: "Begin a file of signed checkpoints, for a replica that is added or in place of one that is lost", Args: cobra.NoArgs,
		Long: "Begin a file of signed checkpoints: record that, and sign in it where every chain stands.\n\n" +
			"`caseservice serve` begins its file by itself in the first hour in which checkpoints of a database are kept. After that a\n" +
			"file that is not there, or holds none, is refused: a name may be wrong, a disk may be missing, and nothing else tells a\n" +
			"database that was set back. So name the checkpoint files of the other replicas (--witness) or an export (--ledger): where\n" +
			"the database lacks something that they know, nothing is begun. Where there are none, you answer for the database alone:\n" +
			"say so with --no-other-witness. A file that holds checkpoints is left as it is.",
	}
	s.flags(cmd.Flags(), "database", "audience", "checkpoint-file", codeKey+"-file")
	cmd.Flags().StringArrayVar(&v.files, "witness", nil, "checkpoint file of another replica, as often as there are others")
	cmd.Flags().StringVar(&v.export, "ledger", "", "file that `caseservice serve --ledger-export` or `ledger export` wrote")
	cmd.Flags().BoolVar(&v.alone, "no-other-witness", false, "there is no other witness: whoever runs this answers for the database")
	ifMissing := cmd.Flags().Bool("if-missing", false, "end with status 0 where the file holds checkpoints already")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		key, err := s.readBegin(cmd, v)
		if err != nil {
			return err
		}
		return s.withLedger(cmd.Context(), func(r *sqlstore.Store) error {
			err := s.begin(cmd.Context(), r, key, v)
			holds := *ifMissing && errors.Is(err, witness.ErrHolds)
			if err != nil && !holds {
				return err
			}
			text := s.checkpoints + " is begun: what is recorded from now on has a witness there"
			if holds {
				text = s.checkpoints + " holds checkpoints already"
			}
			return show(cmd, *asJSON, struct {
				File  string `json:"file"`
				Begun bool   `json:"begun"`
			}{s.checkpoints, !holds}, text)
		})
	}
	return cmd
}

// readBegin checks the settings of begin, and reads the key that signs. Errors: *config.Error, errUsage.
func (s *settings) readBegin(cmd *cobra.Command, v vouching) (*witness.Key, error) {
	if s.checkpoints == "" {
		return nil, &config.Error{Where: "--checkpoint-file", Problem: "name the file that is begun"}
	}
	if err := checkIdentifier(s.audience); err != nil {
		return nil, &config.Error{Where: "--audience", Problem: err.Error()}
	}
	if v.alone == (len(v.files) > 0 || v.export != "") {
		return nil, fmt.Errorf("%w: name other witnesses of the database, with --witness, --ledger or both, or say --no-other-witness where there are none", errUsage)
	}
	code, err := config.Key(cmd.Flags(), prefix, codeKey)
	if err != nil {
		return nil, err
	}
	return ledger.NewKey(code)
}

// begin begins a file of checkpoints where the other witnesses miss nothing.
func (s *settings) begin(ctx context.Context, r *sqlstore.Store, key *witness.Key, v vouching) error {
	c := &witness.Checkpointer{Log: r, Key: key, Origin: s.audience, File: s.checkpoints, Now: clock.System{}.Now}
	return c.Begin(ctx, func() error {
		if err := v.ask(ctx, c, r); err != nil {
			return startable(err)
		}
		return recordBegun(ctx, r, operation("").Actor, s.checkpoints)
	})
}

// vouching is who answers for a database: other witnesses, or whoever runs the command alone.
type vouching struct {
	files  []string
	export string
	alone  bool
}

// ask looks whether a database has what the other witnesses know. Errors: *witness.Behind; those of the witnesses.
func (v vouching) ask(ctx context.Context, c *witness.Checkpointer, r *sqlstore.Store) error {
	if err := c.Vouch(ctx, v.files); err != nil || v.export == "" {
		return err
	}
	differs, err := compared(ctx, r, v.export)
	if err == nil && differs != nil {
		err = &witness.Behind{File: v.export, Why: differs.Error(), Export: true}
	}
	return err
}

// recordBegun records that a file of checkpoints is begun.
func recordBegun(ctx context.Context, store *sqlstore.Store, actor, file string) error {
	entry := operation("checkpoints.begin")
	entry.Actor, entry.Reason = actor, "file="+file
	return store.Commit(ctx, unit.Unit{Event: entry})
}
