package issuer_test

import (
	"encoding/json"
	"testing"

	"ellis.example/caseservice/internal/issuer"
	"ellis.example/caseservice/internal/strictjson"
)

// What is read in a short way means what the library says that it means.
func TestMembers_MeanWhatTheLibrarySays(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		`""`, `"a"`, `"é"`, `"a\"b"`, `"\u0061"`, `"\ud83d\ude00"`, `"\ud800"`, `"\\"`, `"/"`,
		`0`, `-0`, `7`, `1764000000`, `253402300799`, `253402300800`, `99999999999`, `9223372036854775808`, `1e3`, `1.0`, `-1`,
		`null`, `true`, `[]`, `["a"]`, `["a","b"]`, `["\u0061"]`, `[null]`, `[1]`, `{}`, `{"a":1}`,
	} {
		m, err := strictjson.Object([]byte(`{"x": ` + value + ` ,"aud":` + value + `}`))
		if err != nil {
			t.Fatal(value, err)
		}
		var text *string
		isText := json.Unmarshal([]byte(value), &text) == nil && text != nil
		if got, err := issuer.String(m, "x"); (err == nil) != isText || isText && got != *text {
			t.Errorf("%s as a string: %q, %v", value, got, err)
		}
		var n *int64
		isDate := json.Unmarshal([]byte(value), &n) == nil && n != nil && *n >= 0 && *n <= 253402300799
		if got, ok, err := issuer.Seconds(m, "x"); (err == nil) != isDate || ok != isDate || isDate && got != *n {
			t.Errorf("%s as a date: %d, %v, %v", value, got, ok, err)
		}
		many := []string{}
		if isText {
			many = []string{*text}
		} else if json.Unmarshal([]byte(value), &many) != nil {
			many = nil
		}
		if got, ok := issuer.SoleAudience(m); ok != (len(many) == 1) || ok && got != many[0] {
			t.Errorf("%s as an audience: %q, %v", value, got, ok)
		}
	}
}
