package telemetry

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Line writes a log line as log.LogAttrs does, at a time that is known, and does not look for its place in the code.
func Line(ctx context.Context, log *slog.Logger, level slog.Level, at time.Time, message string, attrs ...slog.Attr) {
	if !log.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(at, level, message, 0)
	r.AddAttrs(attrs...)
	_ = log.Handler().Handle(ctx, r) // there is nobody to tell that telling does not work
}

// requestKey is the attribute of a log line that names its request.
const requestKey = "request"

// Logs returns h with the ids of what a line belongs to, as its context tells: trace_id and span_id where there is a trace,
// kept or not, and request where the line does not name it itself. request returns the id of a context's request, or "".
func Logs(h slog.Handler, request func(context.Context) string) slog.Handler {
	return logs{h, request}
}

type logs struct {
	slog.Handler
	request func(context.Context) string
}

// Handle implements slog.Handler.
func (l logs) Handle(ctx context.Context, r slog.Record) error {
	sc := trace.SpanContextFromContext(ctx)
	id := l.request(ctx)
	if id != "" && names(r, requestKey) {
		id = ""
	}
	if id == "" && !sc.IsValid() {
		return l.Handler.Handle(ctx, r)
	}
	r = r.Clone()
	if id != "" {
		r.AddAttrs(slog.String(requestKey, id))
	}
	if sc.IsValid() {
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return l.Handler.Handle(ctx, r)
}

// names reports whether a line has an attribute.
func names(r slog.Record, key string) (found bool) {
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}

// WithAttrs implements slog.Handler.
func (l logs) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logs{l.Handler.WithAttrs(attrs), l.request}
}

// WithGroup implements slog.Handler.
func (l logs) WithGroup(name string) slog.Handler { return logs{l.Handler.WithGroup(name), l.request} }
