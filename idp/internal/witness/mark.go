package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"ellis.example/idp/internal/chain"
)

// Mark tells a file by how it begins: a file that is only appended to keeps every mark that it ever had.
type Mark struct {
	Bytes int64
	Sum   chain.Hash // of that many bytes
}

// String writes a mark as ParseMark reads it; "" for none.
func (m Mark) String() string {
	if m == (Mark{}) {
		return ""
	}
	return fmt.Sprintf("%d:%x", m.Bytes, m.Sum)
}

// ParseMark reads a mark; ok is false when it is none.
func ParseMark(s string) (m Mark, ok bool) {
	size, sum, _ := strings.Cut(s, ":")
	n, err := strconv.ParseInt(size, 10, 64)
	raw, bad := hex.DecodeString(sum)
	if err != nil || bad != nil || n < 0 || len(raw) != len(m.Sum) {
		return Mark{}, false
	}
	return Mark{n, chain.Hash(raw)}, true
}

// marksOf returns the marks of a file at places that are in order. One behind its end has none.
func marksOf(file string, places []int64) (map[int64]Mark, error) {
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	out, h, at := map[int64]Mark{}, sha256.New(), int64(0)
	for _, to := range places {
		n, err := io.CopyN(h, f, to-at)
		at += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		out[to] = Mark{to, chain.Hash(h.Sum(nil))}
	}
	return out, nil
}
