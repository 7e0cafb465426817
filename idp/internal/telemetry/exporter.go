package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	protobufType = "application/x-protobuf"
	maxAnswer    = 64 << 10 // bytes
)

// exporter sends spans in the binary encoding of OTLP/HTTP (OTLP 1.11 §OTLP/HTTP). OpenTelemetry's own exporter does the
// same, but links gRPC: 6 MB and 2.5 ms of every start, also where nobody traces.
type exporter struct {
	url    string
	client *http.Client
}

func newExporter(url string) *exporter {
	return &exporter{url: url, client: &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// send sends a batch and returns how many spans of it the collector refused. An error means all of them.
func (e *exporter) send(ctx context.Context, batch []sdktrace.ReadOnlySpan) (refused int, err error) {
	body, err := proto.Marshal(encode(batch))
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", protobufType)
	res, err := e.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case err != nil:
		return 0, err
	case res.StatusCode/100 != 2:
		return 0, fmt.Errorf("the collector answered %d", res.StatusCode)
	}
	var said collectorpb.ExportTraceServiceResponse
	if res.Header.Get("Content-Type") != protobufType || proto.Unmarshal(text, &said) != nil {
		return 0, nil // the status says that it has them
	}
	return int(said.GetPartialSuccess().GetRejectedSpans()), nil
}

// encode puts spans of one process and one scope into a message.
func encode(batch []sdktrace.ReadOnlySpan) *collectorpb.ExportTraceServiceRequest {
	spans := make([]*tracepb.Span, len(batch))
	for i, s := range batch {
		spans[i] = encodeSpan(s)
	}
	return &collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource:   &resourcepb.Resource{Attributes: encodeAttributes(batch[0].Resource().Attributes())},
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: scope}, Spans: spans}},
	}}}
}

// encodeSpan leaves out what no span of ours has: events, links and tracestate.
func encodeSpan(s sdktrace.ReadOnlySpan) *tracepb.Span {
	id, in := s.SpanContext(), s.Parent()
	trace, span := id.TraceID(), id.SpanID()
	out := &tracepb.Span{
		TraceId: trace[:], SpanId: span[:], Flags: uint32(id.TraceFlags()) | uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK),
		Name: s.Name(), Kind: tracepb.Span_SpanKind(s.SpanKind()), // the same numbers
		StartTimeUnixNano: uint64(s.StartTime().UnixNano()), EndTimeUnixNano: uint64(s.EndTime().UnixNano()),
		Attributes: encodeAttributes(s.Attributes()), DroppedAttributesCount: uint32(s.DroppedAttributes()),
		Status: &tracepb.Status{Code: statuses[s.Status().Code]},
	}
	if in.SpanID().IsValid() {
		parent := in.SpanID()
		out.ParentSpanId = parent[:]
	}
	if in.IsRemote() {
		out.Flags |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	return out
}

func encodeAttributes(from []attribute.KeyValue) []*commonpb.KeyValue {
	out := make([]*commonpb.KeyValue, len(from))
	for i, a := range from {
		out[i] = &commonpb.KeyValue{Key: string(a.Key), Value: encodeValue(a.Value)}
	}
	return out
}

func encodeValue(v attribute.Value) *commonpb.AnyValue {
	switch v.Type() {
	case attribute.BOOL:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: v.AsBool()}}
	case attribute.INT64:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: v.AsInt64()}}
	}
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: v.String()}}
}

// statuses are ours by theirs.
var statuses = map[codes.Code]tracepb.Status_StatusCode{
	codes.Unset: tracepb.Status_STATUS_CODE_UNSET, codes.Error: tracepb.Status_STATUS_CODE_ERROR, codes.Ok: tracepb.Status_STATUS_CODE_OK,
}
