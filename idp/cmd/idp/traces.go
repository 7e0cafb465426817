package main

import (
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"ellis.example/idp/internal/telemetry"
)

// newTracer makes what makes traces, nil where no collector is named, and counts what becomes of them.
func newTracer(s settings, reg prometheus.Registerer) *telemetry.Tracer {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "idp_trace_spans_total", Help: "Spans of traces by outcome: sent, dropped (no room in the queue), failed (the collector did not take them).",
	}, []string{"outcome"})
	reg.MustRegister(spans)
	version := ""
	if b, ok := debug.ReadBuildInfo(); ok {
		version = b.Main.Version
	}
	return telemetry.New(telemetry.Options{
		Config: s.traces, Service: "idp", Version: version, Log: s.log,
		Count: func(outcome string, n int) { spans.WithLabelValues(outcome).Add(float64(n)) },
	})
}
