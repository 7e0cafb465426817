package sqlstore

import (
	"encoding/json"
	"time"
)

// micros is how a time stands in a column: microseconds since 1970 in UTC, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// timeOf reads what micros wrote.
func timeOf(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// text is how lists and maps stand in a column: JSON.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only our own plain types come here
	}
	return string(b)
}

// fromText reads what text wrote.
func fromText(s string, v any) error { return json.Unmarshal([]byte(s), v) }

// hash32 reads a 32-byte column; any other length reads as zero, which matches no hash.
func hash32(b []byte) (h [32]byte) {
	if len(b) == len(h) {
		copy(h[:], b)
	}
	return h
}
