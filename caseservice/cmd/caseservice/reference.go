package main

import (
	"encoding/json"
	"log/slog"

	"github.com/spf13/cobra"

	"ellis.example/caseservice/internal/accesstoken"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/feed"
	"ellis.example/caseservice/internal/issuer"
	"ellis.example/caseservice/internal/reference"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/store/redisstore/redisdb"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/telemetry"
	"ellis.example/caseservice/internal/web"
)

// newReferenceCommand tells the generator of docs/reference what there is. It opens nothing and asks nobody.
func newReferenceCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reference", Short: "Describe commands and metrics as JSON", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			metrics, err := registeredMetrics()
			if err != nil {
				return err
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetEscapeHTML(false)
			return enc.Encode(reference.Program{Commands: reference.Commands(cmd.Root(), prefix), Metrics: metrics})
		},
	}
}

// registeredMetrics lists the metrics of serve, then those of portal.
func registeredMetrics() ([]reference.Metric, error) {
	const nowhere = "https://id.example"
	log := slog.New(slog.DiscardHandler)
	from := issuer.New(issuer.Options{URL: nowhere, Clock: clock.System{}, Log: log})
	events := feed.New(feed.Options{Issuer: from, Audience: nowhere, Clock: clock.System{}, Log: log})
	m := newMetrics()
	m.gauges(accesstoken.New(accesstoken.Options{Issuer: from, Audience: nowhere, Revocations: events, Clock: clock.System{}}), events, &witnesses{})
	var none *sqlstore.Store
	m.registry.MustRegister(none.Metrics(namespace))
	web.NewLoad(m.registry, namespace, 0)
	newTracer(telemetry.Config{}, "", namespace, log, m.registry)
	out, err := reference.Metrics(m.registry, namespace)
	if err != nil {
		return nil, err
	}
	p := newPortalMetrics(signin.NewMemory(clock.System{}, 1, 1)).registry
	var nowhereElse *redisdb.DB
	p.MustRegister(nowhereElse.Metrics(portalPrefix))
	web.NewLoad(p, portalPrefix, 0)
	newTracer(telemetry.Config{}, "", portalPrefix, log, p)
	portal, err := reference.Metrics(p, namespace)
	return append(out, portal...), err
}
