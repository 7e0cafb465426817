package main

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"ellis.example/caseservice/internal/telemetry"
)

// The services that are asked, as spans name them: by the service.name of their own.
const (
	issuerPeer = "idp"
	apiPeer    = "case-api"
)

// newTracer makes what makes traces, nil where no collector is named, and counts what becomes of them.
func newTracer(c telemetry.Config, service, prefix string, log *slog.Logger, reg prometheus.Registerer) *telemetry.Tracer {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: prefix, Name: "trace_spans_total", Help: "Spans of traces by outcome: sent, dropped (no room in the queue), failed (the collector did not take them).",
	}, []string{"outcome"})
	reg.MustRegister(spans)
	return telemetry.New(telemetry.Options{
		Config: c, Service: service, Version: readBuild().Version, Log: log,
		Count: func(outcome string, n int) { spans.WithLabelValues(outcome).Add(float64(n)) },
	})
}
