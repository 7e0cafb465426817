package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/shed"
	"ellis.example/caseservice/internal/telemetry"
)

// maxBody bounds what anybody may send, in bytes. The largest honest body is the form of a claim.
const maxBody = 16 << 10

// Info is what the edge learns about a request while it is handled. Handlers fill in what the log line may say: names of
// routes and identifiers, never a path, a query, a token or a receipt number.
type Info struct {
	ID     string // request id: in the log, in the ledger, in the X-Request-Id header
	Route  string // template of the route
	Client string // client_id of a verified token
	Txn    string // txn of a verified token
	Cause  error  // what went wrong, for the log alone

	span telemetry.Span
}

type infoKey struct{}

// InfoOf returns the request's Info, never nil.
func InfoOf(r *http.Request) *Info {
	if i, ok := r.Context().Value(infoKey{}).(*Info); ok {
		return i
	}
	return &Info{}
}

// RequestID returns the id of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string {
	if i, ok := ctx.Value(infoKey{}).(*Info); ok {
		return i.ID
	}
	return ""
}

// Edge is what every public request passes.
type Edge struct {
	Log     *slog.Logger
	HSTS    bool // the service is reached by https
	Observe func(route string, status int, took time.Duration)
	// Load bounds what all requests use together; nil: there are places for requests, and connections are not bounded.
	Load *Load
	// Trace makes a span of every request; nil: there are none.
	Trace *telemetry.Tracer
}

// The headers of every answer. Shared slices: they are never changed.
var (
	noStore   = []string{"no-store"}
	noSniff   = []string{"nosniff"}
	noRefer   = []string{"no-referrer"}
	noContent = []string{"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}
	sameSite  = []string{"same-origin"}
	deny      = []string{"DENY"}
	hsts      = []string{"max-age=63072000; includeSubDomains"}
)

// Wrap returns h behind the edge. Requests beyond what can be worked on are turned away.
func (e Edge) Wrap(h http.Handler) http.Handler {
	load := e.Load
	if load == nil {
		load = loadOf(shed.Unbounded())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now() //nolint:forbidigo // it measures, and decides nothing
		ctx, span := e.Trace.Server(r)
		info := &Info{ID: ident.New("req"), Route: "other", span: span}
		e.headers(w.Header(), info.ID)
		rec := &shed.Answer{ResponseWriter: w}
		r = r.WithContext(context.WithValue(ctx, infoKey{}, info))
		defer e.finish(rec, r, info, began)
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(rec, r.Body, maxBody)
		}
		load.admit(h, rec, r, info)
	})
}

func (e Edge) headers(h http.Header, id string) {
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noRefer
	h["Content-Security-Policy"] = noContent
	h["Cross-Origin-Resource-Policy"] = sameSite
	h["X-Frame-Options"] = deny
	h["X-Request-Id"] = []string{id}
	if e.HSTS {
		h["Strict-Transport-Security"] = hsts
	}
}

// finish answers for a handler that panicked, and writes the one log line of the request.
func (e Edge) finish(w *shed.Answer, r *http.Request, info *Info, began time.Time) {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler { //nolint:errorlint // a panic's value, compared as net/http does
			panic(p)
		}
		info.Cause = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		if w.Status == 0 {
			WriteProblem(w, ProblemOf(info.Cause, info.ID), 0)
		}
	}
	took := time.Since(began)
	if e.Observe != nil {
		e.Observe(info.Route, w.Status, took)
	}
	method := knownMethod(r.Method)
	info.span.End(method, info.Route, info.ID, w.Status)
	level := slog.LevelInfo
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs, slog.String("request", info.ID), slog.String("method", method), slog.String("route", info.Route),
		slog.Int("status", w.Status), slog.Duration("took", took))
	if info.Client != "" {
		attrs = append(attrs, slog.String("client_id", info.Client), slog.String("txn", info.Txn))
	}
	if info.Cause != nil {
		attrs = append(attrs, slog.String("cause", info.Cause.Error()))
		if w.Status >= http.StatusInternalServerError && !fault.Is(info.Cause, fault.Unavailable) {
			level = slog.LevelError
		}
	}
	telemetry.Line(r.Context(), e.Log, level, began.Add(took), "request", attrs...)
}

// knownMethod keeps methods that somebody made up out of the log.
func knownMethod(m string) string {
	if strings.Contains(" GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT ", " "+m+" ") {
		return m
	}
	return "other"
}
