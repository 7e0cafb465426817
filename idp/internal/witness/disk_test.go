package witness

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ellis.example/idp/internal/chain"
)

// one is a log of one writer.
type one []chain.Record

func (o one) Heads(context.Context) ([]chain.Head, error) {
	last := o[len(o)-1]
	return []chain.Head{{Writer: last.Writer, Seq: last.Seq, Hash: last.Hash}}, nil
}

func (o one) Walk(_ context.Context, _ string, after int64, f func(chain.Record) error) error {
	for _, r := range o[after:] {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

// What is in the file is taken to disk by whoever says next that the file has everything, whether they wrote it or not.
func TestExport_SaysOnlyOfWhatIsOnDiskThatItIsThere(t *testing.T) {
	t.Parallel()
	r, _ := chain.Next(chain.Head{Writer: "wrt_a"}, []byte(`{}`))
	file := filepath.Join(t.TempDir(), "export")
	broken, taken := error(nil), 0
	process := func() *Exporter {
		return &Exporter{Log: one{r}, File: file, disk: func(f *os.File) error { taken++; return errors.Join(broken, toDisk(f)) }}
	}
	first := process()
	once := func(x *Exporter, want int) {
		t.Helper()
		if _, err := x.Once(t.Context()); !errors.Is(err, broken) || taken != want {
			t.Errorf("%v, taken to disk %d times, want %d", err, taken, want)
		}
	}
	broken = errors.New("the disk does not answer")
	once(first, 1)
	once(first, 2) // nothing is new, and what is old is not there yet
	broken = nil
	once(first, 3)
	once(first, 3)
	second := process() // who knows what became of the one before?
	once(second, 4)
	once(second, 4)
}
