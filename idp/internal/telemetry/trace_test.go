package telemetry_test

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"ellis.example/idp/internal/telemetry"
	"ellis.example/idp/internal/unit"
)

func TestTrace_IsOneAcrossServices(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	of := func(name string) *telemetry.Tracer {
		return telemetry.New(telemetry.Options{Config: telemetry.Config{Endpoint: c.url + "/", Ratio: 1, Key: ourKey}, Service: name, Version: "v1"})
	}
	first, second := of("first"), of("second")
	back := service(t, second, "/things/{id}", http.StatusServiceUnavailable, func(r *http.Request, _ http.RoundTripper) {
		second.Commits()(r.Context())(3, nil)
	})
	front := service(t, first, "/page", http.StatusOK, func(r *http.Request, via http.RoundTripper) {
		call(t, r, via, back.URL+"/things/canary?q=canary")
	})
	get(t, front.URL+"/page/canary?canary=1", http.Header{"Authorization": {"Bearer canary"}, "Cookie": {"a=canary"}})
	first.Close()
	second.Close()

	root, out := c.span(t, "GET /page"), c.span(t, "POST the other service")
	in, commit := c.span(t, "POST /things/{id}"), c.span(t, "commit")
	for child, parent := range map[*tracepb.Span]*tracepb.Span{out: root, in: out, commit: in} {
		if traceOf(child) != traceOf(root) || hex.EncodeToString(child.GetParentSpanId()) != hex.EncodeToString(parent.GetSpanId()) {
			t.Errorf("%s is not below %s", child.GetName(), parent.GetName())
		}
	}
	if len(root.GetParentSpanId()) != 0 || root.GetKind() != tracepb.Span_SPAN_KIND_SERVER || out.GetKind() != tracepb.Span_SPAN_KIND_CLIENT || commit.GetKind() != tracepb.Span_SPAN_KIND_INTERNAL {
		t.Errorf("root %v, kinds %v %v %v", root.GetParentSpanId(), root.GetKind(), out.GetKind(), commit.GetKind())
	}
	if got := about(in); got["http.response.status_code"] != "503" || got["http.route"] != "/things/{id}" || got["http.request.method"] != "POST" || got["ellis.request"] != "req_1" || in.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("%v, %v", got, in.GetStatus())
	}
	if got := about(out); got["http.response.status_code"] != "503" || got["peer.service"] != "the other service" || out.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("%v, %v", got, out.GetStatus())
	}
	if about(commit)["db.operation.batch.size"] != "3" || root.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_UNSET || root.GetEndTimeUnixNano() < root.GetStartTimeUnixNano() || root.GetStartTimeUnixNano() == 0 {
		t.Errorf("%v, %v", about(commit), root)
	}
	const remote = uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	if in.GetFlags()&remote == 0 || out.GetFlags()&remote != 0 || root.GetFlags()&remote != 0 || root.GetFlags()&1 == 0 {
		t.Errorf("flags %x %x %x", root.GetFlags(), out.GetFlags(), in.GetFlags())
	}
	if c.who["service.name"] == "" || c.who["service.version"] != "v1" || c.who["service.instance.id"] == "" {
		t.Errorf("the resource is %v", c.who)
	}
	if strings.Contains(c.raw.String(), "canary") {
		t.Error("a span tells of what was asked for")
	}
}

// Who is no service of ours neither decides that a trace is kept nor ties requests to one (W3C Trace Context §7).
func TestTrace_OfStrangersIsNotJoined(t *testing.T) {
	t.Parallel()
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	parent := "00-" + trace + "-" + span + "-01"
	ours := proofOf(t, ourKey, parent)
	for name, h := range map[string]struct {
		key    []byte
		header http.Header
		joined bool
	}{
		"ours":                  {ourKey, http.Header{"Traceparent": {parent}, "Tracestate": {ours}}, true},
		"ours through a mesh":   {ourKey, http.Header{"Traceparent": {"00-" + trace + "-1111111111111111-01"}, "Tracestate": {"mesh=a, " + ours + ",x=y"}}, true},
		"no proof":              {ourKey, http.Header{"Traceparent": {parent}}, false},
		"an empty proof":        {ourKey, http.Header{"Traceparent": {parent}, "Tracestate": {"ellis="}}, false},
		"another key":           {ourKey, http.Header{"Traceparent": {parent}, "Tracestate": {proofOf(t, []byte("another key, as long as a key is"), parent)}}, false},
		"another trace":         {ourKey, http.Header{"Traceparent": {strings.Replace(parent, "4bf9", "4bfa", 1)}, "Tracestate": {ours}}, false},
		"kept against our will": {ourKey, http.Header{"Traceparent": {parent}, "Tracestate": {proofOf(t, ourKey, strings.TrimSuffix(parent, "1")+"0")}}, false},
		"two parents":           {ourKey, http.Header{"Traceparent": {parent, parent}, "Tracestate": {ours}}, false},
		"too long":              {ourKey, http.Header{"Traceparent": {parent}, "Tracestate": {ours + "," + strings.Repeat("x", 600)}}, false},
		"no parent":             {ourKey, http.Header{"Tracestate": {ours}}, false},
		"zeros":                 {ourKey, http.Header{"Traceparent": {"00-00000000000000000000000000000000-" + span + "-01"}, "Tracestate": {ours}}, false},
		"an empty key is none":  {nil, http.Header{"Traceparent": {parent}, "Tracestate": {proofOf(t, []byte{}, parent)}}, false},
		"we have no key":        {nil, http.Header{"Traceparent": {parent}, "Tracestate": {ours}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCollector(t)
			tr := telemetry.New(telemetry.Options{Config: telemetry.Config{Endpoint: c.url, Ratio: 1, Key: h.key}})
			get(t, service(t, tr, "/", http.StatusOK, nil).URL, h.header)
			tr.Close()
			root := c.span(t, "GET /")
			if joined := traceOf(root) == trace; joined != h.joined || joined != (len(root.GetParentSpanId()) > 0) {
				t.Errorf("joined: %v, below %x", joined, root.GetParentSpanId())
			}
		})
	}
}

// proofOf returns what a service with a key sends along with a trace.
func proofOf(t *testing.T, key []byte, parent string) string {
	t.Helper()
	tr := telemetry.New(telemetry.Options{Config: telemetry.Config{Endpoint: "http://127.0.0.1:9", Key: key}})
	var got http.Header
	via := tr.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		got = r.Header
		return nil, errors.New("nobody")
	}), "x")
	r, err := http.NewRequestWithContext(telemetry.Within(t.Context(), parent), http.MethodGet, "http://127.0.0.1:9", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := via.RoundTrip(r); err == nil {
		_ = res.Body.Close()
	}
	if got.Get("Tracestate") == "" || got.Get("Traceparent")[:35] != parent[:35] {
		t.Fatalf("told %v", got)
	}
	return got.Get("Tracestate")
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTrace_NothingIsToldWithoutAKey(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tr := telemetry.New(telemetry.Options{Config: telemetry.Config{Endpoint: c.url, Ratio: 1}})
	var got http.Header
	back := service(t, nil, "/", http.StatusOK, func(r *http.Request, _ http.RoundTripper) { got = r.Header })
	get(t, service(t, tr, "/", http.StatusOK, func(r *http.Request, via http.RoundTripper) { call(t, r, via, back.URL) }).URL, nil)
	tr.Close()
	if got == nil || got.Get("Traceparent")+got.Get("Tracestate") != "" {
		t.Errorf("told %v", got)
	}
	c.span(t, "POST the other service")
}

func TestTransport_MakesNoSpanOfWhatNoRequestCaused(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tr := telemetry.New(telemetry.Options{Config: telemetry.Config{Endpoint: c.url, Ratio: 1, Key: ourKey}})
	var got http.Header
	back := service(t, nil, "/", http.StatusOK, func(r *http.Request, _ http.RoundTripper) { got = r.Header })
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, back.URL, nil)
	call(t, r, tr.Transport(nil, "peer"), back.URL)
	tr.Close()
	if got == nil || got.Get("Traceparent") != "" || len(c.spans) != 0 {
		t.Errorf("told %v, %d spans", got, len(c.spans))
	}
}

func TestTransport_TellsKindsOfFailuresAlone(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"timeout": context.DeadlineExceeded, "canceled": context.Canceled, "unreachable": errors.New("canary"),
	} {
		c := newCollector(t)
		tr := telemetry.New(telemetry.Options{Config: telemetry.Config{Endpoint: c.url, Ratio: 1}})
		via := tr.Transport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, err }), "peer")
		get(t, service(t, tr, "/", http.StatusOK, func(r *http.Request, _ http.RoundTripper) { call(t, r, via, "http://127.0.0.1:9/canary") }).URL, nil)
		tr.Close()
		s := c.span(t, "POST peer")
		if about(s)["error.type"] != want || s.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || strings.Contains(c.raw.String(), "canary") {
			t.Errorf("%v: %v, %v", err, about(s), s.GetStatus())
		}
	}
}

func TestCommits_TellConflictsFromFaults(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		err      error
		status   tracepb.Status_StatusCode
		conflict string
	}{
		{nil, tracepb.Status_STATUS_CODE_UNSET, ""},
		{&unit.Conflict{Why: "canary"}, tracepb.Status_STATUS_CODE_UNSET, "true"},
		{errors.New("canary"), tracepb.Status_STATUS_CODE_ERROR, ""},
	} {
		c := newCollector(t)
		tr := telemetry.New(telemetry.Options{Config: telemetry.Config{Endpoint: c.url, Ratio: 1}})
		get(t, service(t, tr, "/", http.StatusOK, func(r *http.Request, _ http.RoundTripper) { tr.Commits()(r.Context())(1, x.err) }).URL, nil)
		tr.Close()
		s := c.span(t, "commit")
		if s.GetStatus().GetCode() != x.status || about(s)["ellis.conflict"] != x.conflict || strings.Contains(c.raw.String(), "canary") {
			t.Errorf("%v: %v %v", x.err, s.GetStatus(), about(s))
		}
	}
}

// A trace that is not kept is not kept anywhere, and its requests can still be found by its id.
func TestTrace_IsKeptAsAWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	none := telemetry.New(telemetry.Options{Config: telemetry.Config{Endpoint: c.url, Ratio: 0, Key: ourKey}})
	every := telemetry.New(telemetry.Options{Config: telemetry.Config{Endpoint: c.url, Ratio: 1, Key: ourKey}})
	back := service(t, every, "/back", http.StatusOK, func(r *http.Request, _ http.RoundTripper) { every.Commits()(r.Context())(1, nil) })
	get(t, service(t, none, "/front", http.StatusOK, func(r *http.Request, via http.RoundTripper) { call(t, r, via, back.URL) }).URL, nil)
	none.Close()
	every.Close()
	if len(c.spans) != 0 {
		t.Errorf("%d spans of a trace that is not kept", len(c.spans))
	}
}
