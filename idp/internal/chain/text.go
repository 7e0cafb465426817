package chain

import (
	"encoding/json"
	"strconv"
)

// Text writes JSON objects as encoding/json does, byte for byte, without looking at types: what a chain binds is written for each
// request. Members come in the order in which they are written. Its zero value is an empty text.
type Text struct{ b []byte }

// NewText returns an empty text with room for so many bytes.
func NewText(room int) *Text { return &Text{make([]byte, 0, room)} }

// Bytes is what was written.
func (t *Text) Bytes() []byte { return t.b }

// Open begins an object: the text itself, or the value of a member.
func (t *Text) Open() { t.b = append(t.b, '{') }

// Close ends the object that was begun last.
func (t *Text) Close() { t.b = append(t.b, '}') }

// Name begins a member, whose name needs no escapes.
func (t *Text) Name(name string) {
	if n := len(t.b); n > 0 && t.b[n-1] != '{' {
		t.b = append(t.b, ',')
	}
	t.b = append(append(append(t.b, '"'), name...), '"', ':')
}

// String writes a member.
func (t *Text) String(name, value string) {
	t.Name(name)
	t.b = AppendString(t.b, value)
}

// Some is String with omitempty.
func (t *Text) Some(name, value string) {
	if value != "" {
		t.String(name, value)
	}
}

// Int writes a member.
func (t *Text) Int(name string, value int64) {
	t.Name(name)
	t.b = strconv.AppendInt(t.b, value, 10)
}

// Strings writes a member whose value is an object of strings, in the order of keys.
func (t *Text) Strings(name string, values map[string]string) error {
	text, err := json.Marshal(values)
	if err == nil {
		t.Name(name)
		t.b = append(t.b, text...)
	}
	return err
}

// AppendString appends s as a JSON string. What needs escapes is left to the library.
func AppendString[T ~string](b []byte, s T) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(string(s)) // a string always has a text
			return append(b, text...)
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}
