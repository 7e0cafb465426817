package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	queueSize   = 4096 // spans, of about a kilobyte each
	batchSize   = 512
	batchPause  = time.Second     // what waits so long is sent, however little it is
	sendTimeout = 5 * time.Second // for one batch
)

// queue takes spans from requests and hands them to the collector. A request never waits for it: what finds no room is
// dropped and counted.
type queue struct {
	spans chan sdktrace.ReadOnlySpan
	send  func(ctx context.Context, batch []sdktrace.ReadOnlySpan) (refused int, err error)
	count func(outcome string, spans int)
	log   *slog.Logger
	away  bool // the last batch failed; of the goroutine alone

	ctx     context.Context // ends what is being sent
	cancel  context.CancelFunc
	closing chan struct{}
	once    sync.Once
	done    chan struct{}
}

var _ sdktrace.SpanProcessor = (*queue)(nil)

func newQueue(send func(context.Context, []sdktrace.ReadOnlySpan) (int, error), count func(string, int), log *slog.Logger) *queue {
	q := &queue{
		spans: make(chan sdktrace.ReadOnlySpan, queueSize), send: send, count: count, log: log,
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	go q.run()
	return q
}

// OnStart implements sdktrace.SpanProcessor.
func (q *queue) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	select {
	case q.spans <- s:
	default:
		q.count(Dropped, 1)
	}
}

// ForceFlush implements sdktrace.SpanProcessor. Nobody flushes but by Shutdown.
func (q *queue) ForceFlush(context.Context) error { return nil }

// Shutdown implements sdktrace.SpanProcessor: it sends what waits, until ctx ends.
func (q *queue) Shutdown(ctx context.Context) error {
	q.once.Do(func() { close(q.closing) })
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		q.cancel()
		<-q.done
		return ctx.Err()
	}
}

func (q *queue) run() {
	defer close(q.done)
	defer q.cancel()
	batch := make([]sdktrace.ReadOnlySpan, 0, batchSize)
	for {
		select {
		case s := <-q.spans:
			batch = q.gather(append(batch[:0], s))
		case <-q.closing:
			if batch = q.gather(batch[:0]); len(batch) == 0 {
				return
			}
		}
		q.deliver(batch)
		clear(batch)
	}
}

// gather waits for more until there are enough or the pause is over. At the end it takes what is there.
func (q *queue) gather(batch []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	pause := time.NewTimer(batchPause)
	defer pause.Stop()
	for len(batch) < cap(batch) {
		select {
		case s := <-q.spans:
			batch = append(batch, s)
			continue
		default:
		}
		select {
		case s := <-q.spans:
			batch = append(batch, s)
		case <-pause.C:
			return batch
		case <-q.closing:
			return batch
		}
	}
	return batch
}

// deliver sends a batch once. What fails is lost: a collector that is away must not cost memory.
func (q *queue) deliver(batch []sdktrace.ReadOnlySpan) {
	if q.ctx.Err() != nil {
		q.count(Dropped, len(batch))
		return
	}
	ctx, cancel := context.WithTimeout(q.ctx, sendTimeout)
	defer cancel()
	refused, err := q.send(ctx, batch)
	if err != nil {
		refused = len(batch)
	}
	refused = min(max(refused, 0), len(batch))
	q.tally(Failed, refused)
	q.tally(Sent, len(batch)-refused)
	if failing := refused == len(batch); failing != q.away {
		q.away = failing
		if failing {
			q.log.Warn("the collector takes no spans", "spans", refused, "error", err)
		} else {
			q.log.Info("the collector takes spans again")
		}
	}
}

func (q *queue) tally(outcome string, n int) {
	if n > 0 {
		q.count(outcome, n)
	}
}
