package lines

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	delay = 100 * time.Millisecond // how long a line waits at most
	limit = 64 << 10               // bytes that wait at most
)

// Writer writes a line at once after a silence, and those that follow it closely together. It is safe for concurrent use.
type Writer struct {
	mu    sync.Mutex // guards the rest, so that lines stay in their order
	out   io.Writer
	buf   []byte
	after bool // a line was written not long ago
}

// New returns a Writer in front of out. Whoever ends the process calls Flush first.
func New(out io.Writer) *Writer { return &Writer{out: out, buf: make([]byte, 0, limit)} }

// Write implements io.Writer. It fails only where it writes to out, and out fails.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.after {
		w.after = true
		time.AfterFunc(delay, w.next)
		return w.out.Write(p)
	}
	if len(w.buf)+len(p) > limit {
		if err := w.flush(); err != nil {
			return 0, err
		}
		if len(p) > limit {
			return w.out.Write(p)
		}
	}
	w.buf = append(w.buf, p...)
	return len(p), nil
}

// next writes what came since the last time, until nothing does.
func (w *Writer) next() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.after = len(w.buf) > 0; w.after {
		_ = w.flush() // there is nobody to tell that telling does not work
		time.AfterFunc(delay, w.next)
	}
}

// Flush writes what waits.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush()
}

func (w *Writer) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.out.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// Handler passes records to h, which writes to w. What is more than information is written at once, and all that came
// before it: it may be the last that the process says.
func (w *Writer) Handler(h slog.Handler) slog.Handler { return handler{h, w} }

type handler struct {
	slog.Handler
	w *Writer
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if err == nil && r.Level > slog.LevelInfo {
		err = h.w.Flush()
	}
	return err
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.w}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name), h.w} }
