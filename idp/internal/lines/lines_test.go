package lines_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ellis.example/idp/internal/lines"
)

// pieces notes each write by itself.
type pieces struct {
	mu  sync.Mutex
	all []string
	err error
}

func (p *pieces) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, string(b))
	return len(b), p.err
}

func (p *pieces) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.all...)
}

func TestWriter_LinesThatComeTogetherAreWrittenTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out pieces
		w := lines.New(&out)
		log := slog.New(w.Handler(slog.NewTextHandler(w, nil)))
		for range 4 {
			log.Info("one")
		}
		if got := out.got(); len(got) != 1 || strings.Count(got[0], "\n") != 1 {
			t.Fatalf("at once: %q", got)
		}
		time.Sleep(time.Second)
		if got := out.got(); len(got) != 2 || strings.Count(got[1], "\n") != 3 {
			t.Fatalf("after a while: %q", got)
		}
		log.Info("two")
		if got := out.got(); len(got) != 3 {
			t.Fatalf("after a silence: %q", got)
		}
	})
}

func TestWriter_AWarningWaitsForNothing(t *testing.T) {
	t.Parallel()
	for name, derive := range map[string]func(*slog.Logger) *slog.Logger{
		"itself": func(l *slog.Logger) *slog.Logger { return l },
		"with":   func(l *slog.Logger) *slog.Logger { return l.With("a", 1) },
		"group":  func(l *slog.Logger) *slog.Logger { return l.WithGroup("g") },
	} {
		var out pieces
		w := lines.New(&out)
		log := derive(slog.New(w.Handler(slog.NewTextHandler(w, nil))))
		log.Info("first")
		log.Info("before")
		log.Warn("now")
		if got := out.got(); len(got) != 2 || strings.Index(got[1], "before") > strings.Index(got[1], "now") || !strings.Contains(got[1], "before") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestWriter_HoldsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	var out pieces
	w := lines.New(&out)
	line := bytes.Repeat([]byte("x"), 1000)
	for range 200 {
		if n, err := w.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	huge := bytes.Repeat([]byte("y"), 100_000)
	if n, err := w.Write(huge); n != len(huge) || err != nil {
		t.Fatal(n, err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(out.got(), "")
	if want := strings.Repeat(string(line), 200) + string(huge); all != want {
		t.Errorf("%d bytes of %d arrived, or in another order", len(all), len(want))
	}
	for _, p := range out.got() {
		if len(p) > 64<<10 && len(p) != len(huge) {
			t.Errorf("a piece of %d bytes", len(p))
		}
	}
}

func TestWriter_FromManyAtOnceNoLineIsTorn(t *testing.T) {
	t.Parallel()
	var out pieces
	w := lines.New(&out)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 500 {
				_, _ = fmt.Fprintf(w, "%d%s\n", i, strings.Repeat("z", 100)) // it does not fail
			}
		})
	}
	wg.Wait()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(strings.Join(out.got(), "")) {
		if n++; len(line) != 102 {
			t.Fatalf("torn: %q", line)
		}
	}
	if n != 4000 {
		t.Errorf("%d lines", n)
	}
}

func TestWriter_SaysWhenItCannotWrite(t *testing.T) {
	t.Parallel()
	out := pieces{err: errors.New("full")}
	w := lines.New(&out)
	if _, err := w.Write([]byte("a")); err == nil {
		t.Error("a write that failed is called good")
	}
	if _, err := w.Write([]byte("b")); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err == nil {
		t.Error("a flush that failed is called good")
	}
}
