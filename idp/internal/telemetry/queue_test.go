package telemetry_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"ellis.example/idp/internal/telemetry"
)

// A collector that never answers: requests are as quick as ever, what finds no room is dropped, and the end is not held up.
func TestQueue_ASilentCollectorHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		buf := make([]byte, 512)
		for {
			if _, err := r.Body.Read(buf); err != nil {
				break
			}
		}
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	var n counts
	var out lines
	tr := telemetry.New(telemetry.Options{Config: telemetry.Config{Endpoint: silent.URL, Ratio: 1}, Count: n.add, Log: slog.New(slog.NewTextHandler(&out, nil))})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for range 600 { // a full batch, which is being sent from then on
		answer(tr, r)
	}
	<-asked
	const more = telemetry.QueueSize + 500
	began := time.Now()
	for range more {
		answer(tr, r)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("%d requests took %v", more, took)
	}
	if dropped := n.of(telemetry.Dropped); dropped < 500 || dropped > 600 {
		t.Errorf("%d of %d dropped", dropped, more)
	}
	began = time.Now()
	tr.Close()
	if took := time.Since(began); out.count("did not take the last spans") != 1 || took > 4*time.Second {
		t.Errorf("closed after %v", took)
	}
	if all := n.of(telemetry.Dropped) + n.of(telemetry.Failed); all != 600+more || n.of(telemetry.Sent) != 0 {
		t.Errorf("%d of %d spans are counted", all, 600+more)
	}
}

func TestQueue_CountsWhatTheCollectorDidNotTake(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	status, refused, size := http.StatusServiceUnavailable, int64(0), 0
	c := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.WriteHeader(status)
		body, _ := proto.Marshal(&collectorpb.ExportTraceServiceResponse{PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: refused}})
		_, _ = w.Write(body)
		size++
	}))
	t.Cleanup(c.Close)
	var n counts
	var out lines
	log := slog.New(slog.NewTextHandler(&out, nil))
	tr := telemetry.New(telemetry.Options{Config: telemetry.Config{Endpoint: c.URL, Ratio: 1}, Count: n.add, Log: log})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for i, x := range []struct {
		status         int
		refused        int64
		sent, failed   int // in all, so far
		warned, solved int
	}{
		{503, 0, 0, 1, 1, 0}, {503, 0, 0, 2, 1, 0}, {200, 0, 1, 2, 1, 1}, {307, 0, 1, 3, 2, 1}, {200, 1, 1, 4, 2, 1}, {200, -5, 2, 4, 2, 2},
	} {
		mu.Lock()
		status, refused = x.status, x.refused
		mu.Unlock()
		answer(tr, r)
		for deadline := time.Now().Add(10 * time.Second); n.of(telemetry.Sent)+n.of(telemetry.Failed) < i+1 && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		waitFor(t, func() bool {
			return out.count("takes no spans") == x.warned && out.count("takes spans again") == x.solved
		}, x)
		if n.of(telemetry.Sent) != x.sent || n.of(telemetry.Failed) != x.failed {
			t.Errorf("step %d: %d sent, %d failed", i, n.of(telemetry.Sent), n.of(telemetry.Failed))
		}
	}
	tr.Close()
}

func waitFor(t *testing.T, so func() bool, what any) {
	t.Helper()
	for range 500 {
		if so() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("it did not come to %+v", what)
}

// lines is a log that is read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), part)
}

func TestClose_SendsWhatWaits(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	var n counts
	tr := telemetry.New(telemetry.Options{Config: telemetry.Config{Endpoint: c.url, Ratio: 1}, Count: n.add})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	const many = 1100 // several batches
	for range many {
		answer(tr, r)
	}
	began := time.Now()
	tr.Close()
	inTime := time.Since(began) < telemetry.ClosePatience // a machine may be too busy to send so much
	answer(tr, r)                                         // too late, and no trouble
	sent := n.of(telemetry.Sent)
	if lost := n.of(telemetry.Dropped) + n.of(telemetry.Failed); sent+lost != many || inTime && lost > 0 || len(c.spans) < sent {
		t.Errorf("%d came, %d are counted as sent and %d as lost", len(c.spans), sent, lost)
	}
}
