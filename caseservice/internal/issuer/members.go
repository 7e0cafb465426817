package issuer

import (
	"bytes"
	"encoding/json"
	"errors"
)

// Members are as strictjson.Object returns them: valid JSON, in valid UTF-8.

// What can be wrong with a member of a JWS.
var (
	ErrType    = errors.New("a member has the wrong type")
	ErrMissing = errors.New("a required member is missing")
	ErrContent = errors.New("a member has a value that is too long or holds forbidden characters")
)

// Visible returns a string member of at most limit bytes of visible ASCII, "" when it is absent. Errors: ErrType, ErrContent.
func Visible(m map[string]json.RawMessage, name string, limit int) (string, error) {
	s, err := String(m, name)
	if err != nil {
		return "", err
	}
	if len(s) > limit {
		return "", ErrContent
	}
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return "", ErrContent
		}
	}
	return s, nil
}

// String returns a string member, "" when it is absent. Only a present, non-empty string is distinguishable from an
// absent one; nothing in a token means anything by being empty. Errors: ErrType.
func String(m map[string]json.RawMessage, name string) (string, error) {
	raw, ok := m[name]
	if !ok {
		return "", nil
	}
	s, ok := text(raw)
	if !ok {
		return "", ErrType
	}
	return s, nil
}

// text is what a string means. Most of them mean what they say.
func text(raw json.RawMessage) (s string, ok bool) {
	switch {
	case raw[0] != '"':
		return "", false
	case bytes.IndexByte(raw, '\\') < 0:
		return string(raw[1 : len(raw)-1]), true
	}
	return s, json.Unmarshal(raw, &s) == nil
}

// Seconds returns a NumericDate in whole seconds; ok is false when it is absent. Errors: ErrType.
func Seconds(m map[string]json.RawMessage, name string) (n int64, ok bool, err error) {
	raw, ok := m[name]
	if !ok {
		return 0, false, nil
	}
	if n, ok := digits(raw); ok {
		return n, true, nil
	}
	if raw[0] == '"' || raw[0] == 'n' || json.Unmarshal(raw, &n) != nil || n < 0 || n > maxDate {
		return 0, false, ErrType
	}
	return n, true, nil
}

// digits reads a whole number as it is usually written.
func digits(raw json.RawMessage) (n int64, ok bool) {
	if len(raw) == 0 || len(raw) >= len("253402300799") {
		return 0, false
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// maxDate is the end of the year 9999: later dates cannot be printed, and sums with them could overflow.
const maxDate = 253402300799

// SoleAudience returns the one audience of a JWS. One for several is refused: each of them could use it at the others.
func SoleAudience(claims map[string]json.RawMessage) (string, bool) {
	raw := claims["aud"]
	if len(raw) == 0 {
		return "", false
	}
	if one, ok := text(raw); ok {
		return one, true
	}
	var many []string
	if raw[0] == '[' && json.Unmarshal(raw, &many) == nil && len(many) == 1 {
		return many[0], true
	}
	return "", false
}
