package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/store/sqlstore"
)

func newKeys() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "List and rotate signing keys, and change the key that seals them"}
	databaseFlags(cmd.PersistentFlags())
	keyFlags(cmd.PersistentFlags())
	rotate := &cobra.Command{
		Use: "rotate", Short: "Let the published next key sign, and publish a new next one", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error {
				ring, err := newRing(cmd, st)
				if err != nil {
					return err
				}
				emergency, err := cmd.Flags().GetBool("emergency")
				if err != nil {
					return err
				}
				if err := ring.Rotate(ctx, str(cmd, "alg"), emergency); err != nil {
					return err
				}
				return sayKeys(ctx, cmd, st)
			})
		},
	}
	rotate.Flags().String("alg", "ES256", "algorithm of the key: ES256, RS256, PS256 or EdDSA")
	rotate.Flags().Bool("emergency", false, "the key has leaked: discard it at once with every token that it signed")
	cmd.AddCommand(rotate, newKeysRewrap(), newKeysRevoke(), &cobra.Command{
		Use: "list", Short: "List keys with their states", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error { return sayKeys(ctx, cmd, st) })
		},
	})
	return cmd
}

// listedKey is what `keys list` prints of a key: never its private part.
type listedKey struct {
	ID        string    `json:"kid"`
	Alg       string    `json:"alg"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	ActiveAt  time.Time `json:"active_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}

func sayKeys(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store) error {
	keys, err := st.Keys(ctx)
	if err != nil {
		return err
	}
	list, lines := []listedKey{}, []string{}
	for _, k := range keys {
		list = append(list, listedKey{k.ID, k.Alg, string(k.State), k.CreatedAt, k.ActiveAt, k.EndedAt})
		lines = append(lines, fmt.Sprintf("%-6s %-9s %s  created %s", k.Alg, k.State, k.ID, k.CreatedAt.Format(time.RFC3339)))
	}
	return say(cmd, map[string]any{"keys": list}, lines...)
}
