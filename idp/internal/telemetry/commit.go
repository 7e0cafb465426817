package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"ellis.example/idp/internal/unit"
)

// Commits returns what makes a span of each wait for a commit, nil without a Tracer. It is called where the wait begins, and
// what it returns where it ends, with how many jobs shared the commit (0: it was given up before) and what came of it.
func (t *Tracer) Commits() func(ctx context.Context) func(jobs int, err error) {
	if t == nil {
		return nil
	}
	return func(ctx context.Context) func(int, error) {
		if !trace.SpanFromContext(ctx).IsRecording() {
			return nothing
		}
		_, span := t.spans.Start(ctx, "commit")
		return func(jobs int, err error) {
			span.SetAttributes(attribute.Int("db.operation.batch.size", jobs))
			switch {
			case unit.IsConflict(err): // the answer to a question, not a fault
				span.SetAttributes(attribute.Bool("ellis.conflict", true))
			case err != nil:
				span.SetStatus(codes.Error, "")
			}
			span.End()
		}
	}
}

func nothing(int, error) {}
