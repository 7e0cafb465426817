package telemetry

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Transport returns base behind spans: one for each request that is sent on because of a request, which the peer is told of.
// What a process asks on its own account has none. peer names who is asked. A nil base is http.DefaultTransport; without a
// Tracer base itself is returned.
func (t *Tracer) Transport(base http.RoundTripper, peer string) http.RoundTripper {
	if t == nil {
		return base
	}
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{t, base, peer}
}

type transport struct {
	tracer *Tracer
	base   http.RoundTripper
	peer   string
}

// RoundTrip implements http.RoundTripper. The span ends with the headers of the answer.
func (c *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !trace.SpanContextFromContext(r.Context()).IsValid() {
		return c.base.RoundTrip(r)
	}
	ctx, span := c.tracer.spans.Start(r.Context(), r.Method+" "+c.peer, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("http.request.method", r.Method), attribute.String("peer.service", c.peer)))
	defer span.End()
	r = r.Clone(ctx) // whoever hands a request over may look at it again
	c.tracer.tell(ctx, r.Header)
	res, err := c.base.RoundTrip(r)
	if err != nil {
		span.SetAttributes(attribute.String("error.type", failure(err)))
		span.SetStatus(codes.Error, "")
		return res, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", res.StatusCode))
	if res.StatusCode >= http.StatusBadRequest {
		span.SetStatus(codes.Error, "")
	}
	return res, nil
}

// failure is the kind of an error. Its text may hold what was asked for.
func failure(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "unreachable"
}
