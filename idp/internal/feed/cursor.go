package feed

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
)

// tagBytes of the hash tell one line's cursors from another's. It keeps mistakes apart, and guards nothing.
const tagBytes = 9

// cursor names a place in an API's line.
func cursor(line, api string, seq int64) string {
	return tag(line, api) + "." + strconv.FormatInt(seq, 10)
}

// place reads a cursor of the same line. ok is false for any other text.
func place(line, api, text string) (seq int64, ok bool) {
	t, n, found := strings.Cut(text, ".")
	if !found || t != tag(line, api) {
		return 0, false
	}
	seq, err := strconv.ParseInt(n, 10, 64)
	return seq, err == nil && seq >= 0 && cursor(line, api, seq) == text
}

func tag(line, api string) string {
	sum := sha256.Sum256([]byte(line + "\x00" + api))
	return base64.RawURLEncoding.EncodeToString(sum[:tagBytes])
}
