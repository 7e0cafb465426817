package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
)

// QueueSize is how many spans wait at the most, ClosePatience how long the end waits.
const (
	QueueSize     = queueSize
	ClosePatience = closePatience
)

// Within returns ctx within a trace.
func Within(ctx context.Context, parent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
}
