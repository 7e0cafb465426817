package main

import (
	"context"
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
tells a database that was set back. Before you run this, make sure of the database, with "idp audit verify" and
the other witnesses. A file that holds checkpoints is left as it is.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error { return begun(ctx, cmd, st) })
		},
	}
	keyFlags(cmd.Flags())
	checkpointFlag(cmd.Flags())
	issuerFlag(cmd.Flags())
	return cmd
}

// begun begins a file of checkpoints.
func begun(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store) error {
	file, err := need(cmd, "checkpoint-file", "/var/lib/idp-witness/checkpoints")
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
	if err := c.Begin(ctx, func() error { return recordBegun(ctx, st, operator(), file) }); err != nil {
		return err
	}
	return say(cmd, map[string]any{"file": file}, fmt.Sprintf("%s is begun: what is recorded from now on has a witness there", file))
}

// recordBegun records that a file of checkpoints is begun.
func recordBegun(ctx context.Context, st *sqlstore.Store, actor, file string) error {
	return st.Commit(ctx, unit.Unit{Event: audit.Event{Type: "checkpoints.begun", Outcome: audit.Allowed, Actor: actor, Detail: map[string]string{"file": file}}})
}
