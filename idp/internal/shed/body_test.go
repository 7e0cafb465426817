package shed_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"ellis.example/idp/internal/shed"
)

// A body is what arrives, whatever was said of its length.
func TestReadAll_ReadsWhatTheLibraryReads(t *testing.T) {
	t.Parallel()
	cut := errors.New("cut")
	for _, n := range []int{0, 1, 700, 2047, 2048, 2049, 9000} {
		text := strings.Repeat("x", n)
		for name, from := range map[string]func() io.Reader{
			"at once":      func() io.Reader { return strings.NewReader(text) },
			"with its end": func() io.Reader { return iotest.DataErrReader(strings.NewReader(text)) },
			"byte by byte": func() io.Reader { return iotest.OneByteReader(strings.NewReader(text)) },
			"and an error": func() io.Reader { return io.MultiReader(strings.NewReader(text), iotest.ErrReader(cut)) },
			"error with all": func() io.Reader {
				return iotest.DataErrReader(io.MultiReader(strings.NewReader(text), iotest.ErrReader(cut)))
			},
		} {
			want, wrong := io.ReadAll(from())
			for _, length := range []int64{-1, 0, 1, int64(n) - 1, int64(n), int64(n) + 1, 2048, 1 << 40} {
				got, err := shed.ReadAll(from(), length)
				if !bytes.Equal(got, want) || !errors.Is(err, wrong) {
					t.Errorf("%d bytes %s, said to be %d: %d, %v", n, name, length, len(got), err)
				}
			}
		}
	}
}
