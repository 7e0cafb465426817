package telemetry

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"ellis.example/idp/internal/ident"
)

// scope names who made the spans.
const scope = "ellis"

// closePatience bounds how long the end of a process waits for the collector.
const closePatience = 2 * time.Second

// What became of spans, as Options.Count is told.
const (
	Sent    = "sent"    // the collector has them
	Dropped = "dropped" // there was no room in the queue, or no time at the end
	Failed  = "failed"  // the collector did not take them
)

// Options are what a Tracer needs. Log and Count may be nil.
type Options struct {
	Config
	Service string // service.name of OpenTelemetry's resource: "idp"
	Version string // service.version; may be empty
	Log     *slog.Logger
	Count   func(outcome string, spans int) // told what became of spans: Sent, Dropped, Failed
}

// Tracer makes spans. A nil one makes none. It is safe for concurrent use.
type Tracer struct {
	spans    trace.Tracer
	provider *sdktrace.TracerProvider
	key      []byte
	log      *slog.Logger
}

// New returns a Tracer, nil where no collector is named. It asks nobody anything yet. The caller ends it with Close.
func New(o Options) *Tracer {
	if o.Endpoint == "" {
		return nil
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Count == nil {
		o.Count = func(string, int) {}
	}
	who := []attribute.KeyValue{attribute.String("service.name", o.Service), attribute.String("service.instance.id", ident.New("ins"))}
	if o.Version != "" {
		who = append(who, attribute.String("service.version", o.Version))
	}
	to := newExporter(strings.TrimSuffix(o.Endpoint, "/") + "/v1/traces")
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(resource.NewSchemaless(who...)),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.Ratio))),
		sdktrace.WithSpanProcessor(newQueue(to.send, o.Count, o.Log)),
	)
	return &Tracer{spans: provider.Tracer(scope), provider: provider, key: o.Key, log: o.Log}
}

// Close sends what waits and ends the Tracer. It takes closePatience at the most: what the collector has not taken by then is
// lost.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the collector did not take the last spans", "error", err)
	}
}
