package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/peer"
	"ellis.example/idp/internal/shed"
	"ellis.example/idp/internal/telemetry"
)

// maxBody bounds what anybody may send, in bytes. The largest honest body is a token request with a client assertion.
const maxBody = 64 << 10

// Handler answers a request or says why it cannot.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Config is what an Edge needs.
type Config struct {
	Issuer         *url.URL // its host is the only one that is answered for
	Clock          clock.Clock
	Log            *slog.Logger
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	CSRFKey        []byte         // 256 bits
	// ErrorPage shows a fault to a person.
	ErrorPage func(w http.ResponseWriter, r *http.Request, f *fault.Error)
	// Observe is told about every answer; nil: nobody is.
	Observe func(route, method string, status int, took time.Duration)
	// Load bounds what all requests use together; nil: there are places for requests, and connections are not bounded.
	Load *Load
	// Trace makes a span of every request; nil: there are none.
	Trace *telemetry.Tracer
}

// Edge is what every public request passes.
type Edge struct {
	cfg     Config
	Cookies Cookies
	cross   *http.CrossOriginProtection

	documents map[string]*Document // by path
}

// NewEdge returns the edge of one issuer.
func NewEdge(cfg Config) *Edge {
	if cfg.Load == nil {
		cfg.Load = loadOf(shed.Unbounded())
	}
	return &Edge{cfg: cfg, Cookies: Cookies{secure: cfg.Issuer.Scheme == "https"}, cross: http.NewCrossOriginProtection(), documents: map[string]*Document{}}
}

// Request is what the edge knows of a request. Handlers may fill in Client and Txn for the log line.
type Request struct {
	ID        string // "req_…": in the log, in the audit, and the support code of errors
	IP        string
	UserAgent string
	Client    string
	Txn       string

	route  string
	cause  error
	span   telemetry.Span
	answer *shed.Answer
	polls  bool // it has a place among the polls of the feed
}

type requestKey struct{}

// RequestID returns the id of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string {
	if i, ok := ctx.Value(requestKey{}).(*Request); ok {
		return i.ID
	}
	return ""
}

// Info returns what the edge knows of the request, never nil.
func Info(ctx context.Context) *Request {
	if i, ok := ctx.Value(requestKey{}).(*Request); ok {
		return i
	}
	return &Request{}
}

var errHost = fault.New(fault.Invalid, "host_unknown", "this server answers for its issuer's host name only")

// Wrap returns next behind the edge.
func (e *Edge) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.published(w, r) {
			return
		}
		began := time.Now() //nolint:forbidigo // it measures, and decides nothing
		ctx, span := e.cfg.Trace.Server(r)
		rec := &shed.Answer{ResponseWriter: w}
		info := &Request{ID: ident.New("req"), IP: e.peer(r), UserAgent: printable(r.UserAgent(), 256), route: "other", span: span, answer: rec}
		e.headers(rec.Header())
		rec.Header()["X-Request-Id"] = []string{info.ID}
		r = r.WithContext(context.WithValue(ctx, requestKey{}, info))
		defer e.finish(rec, r, info, began)
		if !strings.EqualFold(r.Host, e.cfg.Issuer.Host) {
			info.cause = errHost
			http.Error(rec, errHost.Message, http.StatusMisdirectedRequest)
			return
		}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(rec, r.Body, maxBody)
		}
		e.admit(next, rec, r, info)
	})
}

var (
	noSniff  = []string{"nosniff"}
	noRefer  = []string{"no-referrer"}
	deny     = []string{"DENY"}
	noStore  = []string{"no-store"}
	bare     = []string{"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}
	sameOpen = []string{"same-origin"}
	hsts     = []string{"max-age=63072000; includeSubDomains"}
	noSensor = []string{"camera=(), geolocation=(), microphone=(), payment=(), usb=()"}
)

// headers sets what every answer carries; the kinds of route widen or replace it.
func (e *Edge) headers(h http.Header) {
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noRefer
	h["Content-Security-Policy"] = bare
	h["X-Frame-Options"] = deny
	h["Permissions-Policy"] = noSensor
	if e.Cookies.secure {
		h["Strict-Transport-Security"] = hsts
	}
}

// finish answers for a handler that panicked, and writes the one log line of the request.
func (e *Edge) finish(w *shed.Answer, r *http.Request, info *Request, began time.Time) {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler { //nolint:errorlint // a panic's value, compared as net/http does
			panic(p)
		}
		info.cause = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		if w.Status == 0 {
			e.cfg.ErrorPage(w, r, fault.Of(info.cause))
		}
	}
	took := time.Since(began)
	method := knownMethod(r.Method)
	if e.cfg.Observe != nil {
		e.cfg.Observe(info.route, method, w.Status, took)
	}
	info.span.End(method, info.route, info.ID, w.Status)
	level := slog.LevelInfo
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs, slog.String("request", info.ID), slog.String("method", method), slog.String("route", info.route),
		slog.Int("status", w.Status), slog.Duration("took", took), slog.String("ip", info.IP))
	if info.Client != "" {
		attrs = append(attrs, slog.String("client_id", info.Client))
	}
	if info.Txn != "" {
		attrs = append(attrs, slog.String("txn", info.Txn))
	}
	if info.cause != nil {
		attrs = append(attrs, slog.String("cause", info.cause.Error()))
		if w.Status >= http.StatusInternalServerError && !fault.Is(info.cause, fault.Unavailable) {
			level = slog.LevelError
		}
	}
	telemetry.Line(r.Context(), e.cfg.Log, level, began.Add(took), "request", attrs...)
}

// named notes the template of the route that was taken: never a path, which may carry identifiers.
func named(r *http.Request) *Request {
	info := Info(r.Context())
	if route := mux.CurrentRoute(r); route != nil {
		if t, err := route.GetPathTemplate(); err == nil {
			info.route = t
		}
	}
	return info
}

// peer returns the address of the client, or "" where there is none.
func (e *Edge) peer(r *http.Request) string {
	if a := peer.Address(r.RemoteAddr, r.Header["X-Forwarded-For"], e.cfg.TrustedProxies); a.IsValid() {
		return a.String()
	}
	return ""
}

// printable keeps what a header may put into logs and records: printing ASCII, at most limit bytes.
func printable(s string, limit int) string {
	s = s[:min(len(s), limit)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// knownMethod keeps methods that somebody made up out of the log.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}
