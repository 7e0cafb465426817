package telemetry_test

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"ellis.example/idp/internal/telemetry"
)

// collector takes spans by OTLP over HTTP.
type collector struct {
	url string

	mu    sync.Mutex
	spans []*tracepb.Span
	who   map[string]string // attributes of the resource
	raw   strings.Builder   // all bodies
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{who: map[string]string{}}
	s := httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

func (c *collector) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var said collectorpb.ExportTraceServiceRequest
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, &said) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	for _, group := range said.GetResourceSpans() {
		for _, a := range group.GetResource().GetAttributes() {
			c.who[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, in := range group.GetScopeSpans() {
			c.spans = append(c.spans, in.GetSpans()...)
		}
	}
}

// span returns the one span of a name.
func (c *collector) span(t *testing.T, name string) *tracepb.Span {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var found *tracepb.Span
	var names []string
	for _, s := range c.spans {
		if names = append(names, s.GetName()); s.GetName() == name {
			if found != nil {
				t.Fatalf("two spans are called %s: %v", name, names)
			}
			found = s
		}
	}
	if found == nil {
		t.Fatalf("no span is called %s: %q", name, names)
	}
	return found
}

// about returns a span's attributes as text.
func about(s *tracepb.Span) map[string]string {
	out := map[string]string{}
	for _, a := range s.GetAttributes() {
		switch v := a.GetValue(); {
		case v.GetStringValue() != "":
			out[a.GetKey()] = v.GetStringValue()
		case v.GetBoolValue():
			out[a.GetKey()] = "true"
		default:
			out[a.GetKey()] = strconv.FormatInt(v.GetIntValue(), 10)
		}
	}
	return out
}

func traceOf(s *tracepb.Span) string { return hex.EncodeToString(s.GetTraceId()) }

// counts counts what became of spans.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(outcome string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[outcome] += n
}

func (c *counts) of(outcome string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[outcome]
}

var ourKey = []byte("0123456789abcdef0123456789abcdef")

// service is one of ours: it answers with what next answers, or 200, and its calls go through via.
func service(t *testing.T, tr *telemetry.Tracer, route string, status int, next func(r *http.Request, via http.RoundTripper)) *httptest.Server {
	t.Helper()
	via := tr.Transport(nil, "the other service")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := tr.Server(r)
		if next != nil {
			next(r.WithContext(ctx), via)
		}
		w.WriteHeader(status)
		span.End(r.Method, route, "req_1", status)
	}))
	t.Cleanup(s.Close)
	return s
}

// call sends a request on because of r.
func call(t *testing.T, r *http.Request, via http.RoundTripper, url string) {
	t.Helper()
	out, err := http.NewRequestWithContext(r.Context(), http.MethodPost, url, nil)
	if err != nil {
		t.Error(err)
		return
	}
	res, err := via.RoundTrip(out)
	if err == nil {
		_ = res.Body.Close()
	}
	if len(out.Header) != 0 {
		t.Errorf("the caller's request was changed: %v", out.Header)
	}
}

// get asks a service as anybody could.
func get(t *testing.T, url string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}
