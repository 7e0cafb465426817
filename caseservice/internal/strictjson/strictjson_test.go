package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"ellis.example/caseservice/internal/strictjson"
)

func TestObject(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		`{}`:                                          nil,
		`{"a":1,"A":2,"b":{"a":1}}`:                   nil,
		`{"a":[{"x":1},{"x":1}],"b":1}`:               nil,
		`{"a":1,"a":1}`:                               strictjson.ErrDuplicate,
		`{"a":1,"\u0061":1}`:                          strictjson.ErrDuplicate,
		`{"a":{"b":[{"c":1,"c":2}]}}`:                 strictjson.ErrDuplicate,
		`{"a":{},"a":{}}`:                             strictjson.ErrDuplicate,
		`{"a\"":1,"a\u0022":2}`:                       strictjson.ErrDuplicate,
		`{"\ud800":1,"\ud801":1}`:                     strictjson.ErrDuplicate,
		`{"a":"\\","\\":"}","b":"\""}`:                nil,
		"{ \"a\" :\t1 ,\r\n\"b\": [ ] , \"c\":{ }}\n": nil,
		`{"a":[],"a":[]}`:                             strictjson.ErrDuplicate,
		``:                                            strictjson.ErrNotObject,
		`[]`:                                          strictjson.ErrNotObject,
		`null`:                                        strictjson.ErrNotObject,
		`"a"`:                                         strictjson.ErrNotObject,
		` {}`:                                         strictjson.ErrNotObject,
		`{} {}`:                                       strictjson.ErrNotObject,
		`{"a":1,}`:                                    strictjson.ErrNotObject,
		`{"a":01}`:                                    strictjson.ErrNotObject,
		"{\"a\":\"\xff\"}":                            strictjson.ErrNotObject,
		`{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`: strictjson.ErrTooDeep,
		`{"a":[[[[[[[[1]]]]]]]]}`: strictjson.ErrTooDeep,
	} {
		if _, err := strictjson.Object([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%.40s: got %v, want %v", text, err, want)
		}
	}
}

// FuzzObject compares with a reading of the same text by the standard library alone, token by token.
func FuzzObject(f *testing.F) {
	for _, text := range []string{
		`{"a":{"b":[1,{"c":null}]},"d":"e"}`, `{"a":1,"a":2}`, `{"a":{"b":1,"\u0062":2}}`, `{"a\\":"\\\"","b":[[],{}]} `, `{"a" : [ 1 , -2.5e3,true ] ,"b":null}`,
		`{"":{"":{"":{"":{"":{"":{"":{"":{}}}}}}}}}`, `{"a":[[[[[[[{}]]]]]]]}`, `{"\ud800":1,"\ud801":2}`, "{\"a\":\"\u2028\"}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := strictjson.Object(text)
		if want := slow(text); !errors.Is(err, want) {
			t.Fatalf("%q: %v, want %v", text, err, want)
		}
		if err != nil {
			return
		}
		var lax map[string]json.RawMessage
		if err := json.Unmarshal(text, &lax); err != nil || !maps.EqualFunc(got, lax, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Fatalf("%q: %q in place of %q, %v", text, got, lax, err)
		}
	})
}

// slow says what is wrong with a text.
func slow(text []byte) error {
	if !utf8.Valid(text) || !json.Valid(text) || text[0] != '{' {
		return strictjson.ErrNotObject
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return slowValue(d, 0)
}

func slowValue(d *json.Decoder, depth int) error {
	tok, err := d.Token()
	open, is := tok.(json.Delim)
	if err != nil || !is {
		return err
	}
	if depth == 8 {
		return strictjson.ErrTooDeep
	}
	seen := map[json.Token]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			if seen[name] {
				return strictjson.ErrDuplicate
			}
			seen[name] = true
		}
		if err := slowValue(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
