package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"ellis.example/idp/internal/telemetry"
)

// answer is what every request does with a Tracer.
func answer(tr *telemetry.Tracer, r *http.Request) context.Context {
	ctx, span := tr.Server(r)
	span.End(http.MethodPost, "/token", "req_1", http.StatusOK)
	return ctx
}

// It counts allocations, and so runs beside no other test.
func TestTracer_OfNobodyCostsNothing(t *testing.T) {
	tr := telemetry.New(telemetry.Options{Config: telemetry.Config{Ratio: 1, Key: ourKey}})
	if tr != nil || tr.Commits() != nil || tr.Transport(nil, "x") != nil || tr.Transport(http.DefaultTransport, "x") != http.DefaultTransport {
		t.Fatal("there is a tracer without a collector")
	}
	tr.Close()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/token", nil)
	if answer(tr, r) != r.Context() {
		t.Error("the context is another one")
	}
	h := telemetry.Logs(slog.DiscardHandler, func(context.Context) string { return "req_1" })
	line := slog.Record{Message: "request"}
	line.AddAttrs(slog.String("request", "req_1"))
	if n := testing.AllocsPerRun(100, func() { answer(tr, r); _ = h.Handle(r.Context(), line) }); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

func BenchmarkServer(b *testing.B) {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/token", nil)
	for _, with := range []struct {
		name string
		cfg  telemetry.Config
	}{
		{"without a collector", telemetry.Config{}},
		{"not kept", telemetry.Config{Endpoint: "http://127.0.0.1:9"}},
		{"kept", telemetry.Config{Endpoint: "http://127.0.0.1:9", Ratio: 1}},
	} {
		b.Run(with.name, func(b *testing.B) {
			tr := telemetry.New(telemetry.Options{Config: with.cfg})
			b.ReportAllocs()
			for b.Loop() {
				answer(tr, r)
			}
			tr.Close()
		})
	}
}

func TestLogs_NameWhatALineBelongsTo(t *testing.T) {
	t.Parallel()
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	var out bytes.Buffer
	type ofRequest struct{}
	log := slog.New(telemetry.Logs(slog.NewJSONHandler(&out, nil), func(ctx context.Context) string {
		id, _ := ctx.Value(ofRequest{}).(string)
		return id
	}))
	outside := t.Context()
	inside := context.WithValue(telemetry.Within(outside, "00-"+trace+"-"+span+"-00"), ofRequest{}, "req_1") // not kept
	for _, x := range []struct {
		name  string
		write func()
		want  map[string]any
	}{
		{"outside", func() { log.InfoContext(outside, "x") }, map[string]any{}},
		{"inside", func() { log.InfoContext(inside, "x") }, map[string]any{"request": "req_1", "trace_id": trace, "span_id": span}},
		{"named already", func() { log.InfoContext(inside, "x", "request", "req_2") }, map[string]any{"request": "req_2", "trace_id": trace, "span_id": span}},
		{"with attributes", func() { log.With("a", "b").InfoContext(inside, "x") }, map[string]any{"a": "b", "request": "req_1", "trace_id": trace, "span_id": span}},
		{"in a group", func() { log.WithGroup("g").InfoContext(inside, "x") }, map[string]any{"g": map[string]any{"request": "req_1", "trace_id": trace, "span_id": span}}},
	} {
		out.Reset()
		x.write()
		var got map[string]any
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"time", "level", "msg"} {
			delete(got, k)
		}
		if a, b := text(got), text(x.want); a != b {
			t.Errorf("%s: %s, not %s", x.name, a, b)
		}
	}
}

func text(v any) string {
	b, err := json.Marshal(v) // with its keys in order
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestLine_IsWhatTheLibraryWrites(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 12, 0, 0, 5000, time.UTC)
	var got, want bytes.Buffer
	log := func(out io.Writer) *slog.Logger {
		h := slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelInfo})
		return slog.New(telemetry.Logs(h, func(context.Context) string { return "req_1" })).With("a", 1)
	}
	r := slog.NewRecord(at, slog.LevelWarn, "request", 0)
	r.AddAttrs(slog.Int("status", 503), slog.String("request", "req_1"))
	if err := log(&want).Handler().Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	telemetry.Line(t.Context(), log(&got), slog.LevelDebug, at, "request")
	if got.Len() != 0 {
		t.Errorf("below the level: %s", &got)
	}
	telemetry.Line(t.Context(), log(&got), slog.LevelWarn, at, "request", slog.Int("status", 503), slog.String("request", "req_1"))
	if got.String() != want.String() || got.Len() == 0 {
		t.Errorf("%s in place of %s", &got, &want)
	}
}
