package telemetry

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// A trace of a caller is joined only if it proves that it is a service of ours: whoever else names a trace could force that
// it is kept, or tie requests of others to it. The proof is a member of tracestate (W3C Trace Context §3.3), which whatever
// stands between the services hands on: a MAC over what a caller decides, the trace and whether it is kept. The span
// before ours is not part of it, so that a mesh may put its own there.
const (
	headerParent = "Traceparent"
	headerState  = "Tracestate"
	member       = "ellis="
	proofLabel   = "ellis trace context 1\x00"
	proofBytes   = 16
	maxState     = 512 // bytes that are looked at (§3.3.1.5)
)

// joined returns ctx with the trace that the headers name, if a service of ours sent them; else ctx.
func (t *Tracer) joined(ctx context.Context, h http.Header) context.Context {
	parents, states := h[headerParent], h[headerState]
	if t.key == nil || len(parents) != 1 || len(states) != 1 || len(states[0]) > maxState {
		return ctx
	}
	proof := ""
	for one := range strings.SplitSeq(states[0], ",") {
		if text, ours := strings.CutPrefix(strings.Trim(one, " \t"), member); ours {
			proof = text
			break
		}
	}
	if proof == "" {
		return ctx
	}
	told := propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parents[0]})
	sc := trace.SpanContextFromContext(told)
	if !sc.IsValid() || !hmac.Equal([]byte(proof), []byte(t.proof(sc))) {
		return ctx
	}
	return told
}

// tell names the trace of ctx to a service of ours, and proves it.
func (t *Tracer) tell(ctx context.Context, h http.Header) {
	h.Del(headerParent)
	h.Del(headerState)
	if t.key == nil { // nobody would believe it
		return
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
	h.Set(headerState, member+t.proof(trace.SpanContextFromContext(ctx)))
}

func (t *Tracer) proof(sc trace.SpanContext) string {
	m := hmac.New(sha256.New, t.key)
	id := sc.TraceID()
	_, _ = m.Write([]byte(proofLabel)) // a hash takes everything
	_, _ = m.Write(id[:])
	if sc.IsSampled() {
		_, _ = m.Write([]byte{1})
	}
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:proofBytes])
}
