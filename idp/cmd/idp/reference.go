package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/reference"
	"ellis.example/idp/internal/throttle"
)

// newReference tells the generator of docs/reference what there is. It assembles a provider as serve does, with an empty
// database in a temporary folder, so that no metric can be left out; it listens nowhere.
func newReference() *cobra.Command {
	return &cobra.Command{
		Use: "reference", Short: "Describe commands and metrics as JSON", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			metrics, err := registeredMetrics(cmd.Context())
			if err != nil {
				return err
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetEscapeHTML(false)
			return enc.Encode(reference.Program{Commands: reference.Commands(cmd.Root(), envPrefix), Metrics: metrics})
		},
	}
}

// registeredMetrics lists the metrics of a provider.
func registeredMetrics(ctx context.Context) (_ []reference.Metric, err error) {
	dir, err := os.MkdirTemp("", "idp-reference-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	relay, err := notify.NewRelay("smtp://127.0.0.1:25", "Ellis <no-reply@example.org>")
	if err != nil {
		return nil, err
	}
	none := make([]byte, config.KeySize) // it seals keys that are gone with the folder
	p, err := assemble(ctx, settings{
		issuer: &url.URL{Scheme: "https", Host: "id.example"}, database: "sqlite:" + filepath.Join(dir, "idp.db"), relay: relay, kek: [][]byte{none}, pepper: none,
		name: "Ellis", migrate: true, limits: throttle.DefaultLimits(), hashing: factor.DefaultParams, clock: clock.System{}, log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	return reference.Metrics(p.metrics, "idp")
}
