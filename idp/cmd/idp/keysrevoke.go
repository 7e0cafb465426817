package main

import (
	"context"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/store/sqlstore"
)

// newKeysRevoke ends one key. APIs that follow the feed refuse its tokens at once, others when their copy of the key set is old.
func newKeysRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke KID", Short: "Discard one signing key at once, with every token that it signed", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error {
				ring, err := newRing(cmd, st)
				if err != nil {
					return err
				}
				if err := ring.Revoke(ctx, args[0]); err != nil {
					return err
				}
				return sayKeys(ctx, cmd, st)
			})
		},
	}
}
