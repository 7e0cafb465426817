package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/witness"
)

func newAuditBegin() *cobra.Command {
	cmd := &cobra.Command{
		Use: "begin", Short: "Begin a file of signed checkpoints, for a replica that is added or in place of one that is lost", Args: cobra.NoArgs,
		Long: `Begin a file of signed checkpoints: record that, and sign in it where every chain stands.

"idp serve" begins its file by itself in the first hour in which checkpoints of a database are kept. After that
a file that is not there, or holds none, is refused: a name may be wrong, a disk may be missing, and nothing else
tells a database that was set back. So name the checkpoint files of the other replicas (--witness) or an export
(--audit): where the database lacks something that they know, nothing is begun. Where there are none, you answer for
the database alone: say so with --no-other-witness. A file that holds checkpoints is left as it is.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error { return begun(ctx, cmd, st) })
		},
	}
	keyFlags(cmd.Flags())
	checkpointFlag(cmd.Flags())
	issuerFlag(cmd.Flags())
	cmd.Flags().StringArray("witness", nil, "checkpoint file of another replica, as often as there are others")
	cmd.Flags().String("audit", "", "file that `idp audit export` wrote")
	cmd.Flags().Bool("no-other-witness", false, "there is no other witness: whoever runs this answers for the database")
	cmd.Flags().Bool("if-missing", false, "end with status 0 where the file holds checkpoints already")
	return cmd
}

// begun begins a file of checkpoints.
func begun(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store) error {
	file, err := need(cmd, "checkpoint-file", "/var/lib/idp-witness/checkpoints")
	if err != nil {
		return err
	}
	vouch, err := readVouch(cmd, st)
	if err != nil {
		return err
	}
	issuer, err := readIssuer(cmd)
	if err != nil {
		return err
	}
	k, err := checkpointKey(cmd, st, issuer)
	if err != nil {
		return err
	}
	c := &witness.Checkpointer{Log: st, Key: k, Origin: issuer.String(), File: file, Now: clock.System{}.Now}
	err = c.Begin(ctx, func() error {
		if err := vouch(ctx, c); err != nil {
			return startable(err)
		}
		return recordBegun(ctx, st, operator(), file)
	})
	if ifMissing, bad := cmd.Flags().GetBool("if-missing"); bad == nil && ifMissing && errors.Is(err, witness.ErrHolds) {
		return say(cmd, map[string]any{"file": file, "begun": false}, file+" holds checkpoints already")
	}
	if err != nil {
		return err
	}
	return say(cmd, map[string]any{"file": file, "begun": true}, fmt.Sprintf("%s is begun: what is recorded from now on has a witness there", file))
}

// recordBegun records that a file of checkpoints is begun.
func recordBegun(ctx context.Context, st *sqlstore.Store, actor, file string) error {
	return st.Commit(ctx, unit.Unit{Event: audit.Event{Type: "checkpoints.begun", Outcome: audit.Allowed, Actor: actor, Detail: map[string]string{"file": file}}})
}

// readVouch reads who answers for a database: other witnesses, or whoever runs the command alone. It returns what asks them.
func readVouch(cmd *cobra.Command, st *sqlstore.Store) (func(context.Context, *witness.Checkpointer) error, error) {
	files, err := cmd.Flags().GetStringArray("witness")
	if err != nil {
		return nil, err
	}
	alone, err := cmd.Flags().GetBool("no-other-witness")
	if err != nil {
		return nil, err
	}
	export := str(cmd, "audit")
	if alone == (len(files) > 0 || export != "") {
		return nil, errUsage{errors.New("name other witnesses of the database, with --witness, --audit or both, or say --no-other-witness where there are none")}
	}
	return func(ctx context.Context, c *witness.Checkpointer) error {
		if err := c.Vouch(ctx, files); err != nil || export == "" {
			return err
		}
		found, err := compared(ctx, st, export)
		if err != nil {
			return fmt.Errorf("%s: %w", export, err)
		}
		if len(found.Differs) > 0 {
			return &witness.Behind{File: export, Why: found.Differs[0].Error(), Export: true}
		}
		return nil
	}, nil
}
