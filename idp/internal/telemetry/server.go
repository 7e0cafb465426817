package telemetry

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Span is that of a request which is answered. Its zero value is none.
type Span struct{ span trace.Span }

// Server begins the span of a request, within the trace of its caller if that is a service of ours, and returns the request's
// context with it. Nothing of the request goes into the span: what is known of it only later is told to End.
func (t *Tracer) Server(r *http.Request) (context.Context, Span) {
	if t == nil {
		return r.Context(), Span{}
	}
	ctx, span := t.spans.Start(t.joined(r.Context(), r.Header), "request", trace.WithSpanKind(trace.SpanKindServer))
	return ctx, Span{span}
}

// End ends the span. route is the template of the path, request the id that the log names, status 0 where nothing was
// answered.
func (s Span) End(method, route, request string, status int) {
	if s.span == nil {
		return
	}
	if s.span.IsRecording() {
		s.span.SetName(method + " " + route)
		s.span.SetAttributes(
			attribute.String("http.request.method", method), attribute.String("http.route", route),
			attribute.Int("http.response.status_code", status), attribute.String("ellis.request", request),
		)
		if status >= http.StatusInternalServerError {
			s.span.SetStatus(codes.Error, "")
		}
	}
	s.span.End()
}
