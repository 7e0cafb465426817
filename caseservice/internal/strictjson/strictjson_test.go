package strictjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"ellis.example/caseservice/internal/strictjson"
)

func TestObject(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		`{}`:                            nil,
		`{"a":1,"A":2,"b":{"a":1}}`:     nil,
		`{"a":[{"x":1},{"x":1}],"b":1}`: nil,
		`{"a":1,"a":1}`:                 strictjson.ErrDuplicate,
		`{"a":1,"\u0061":1}`:            strictjson.ErrDuplicate,
		`{"a":{"b":[{"c":1,"c":2}]}}`:   strictjson.ErrDuplicate,
		`{"a":{},"a":{}}`:               strictjson.ErrDuplicate,
		`{"a":[],"a":[]}`:               strictjson.ErrDuplicate,
		``:                              strictjson.ErrNotObject,
		`[]`:                            strictjson.ErrNotObject,
		`null`:                          strictjson.ErrNotObject,
		`"a"`:                           strictjson.ErrNotObject,
		` {}`:                           strictjson.ErrNotObject,
		`{} {}`:                         strictjson.ErrNotObject,
		`{"a":1,}`:                      strictjson.ErrNotObject,
		`{"a":01}`:                      strictjson.ErrNotObject,
		"{\"a\":\"\xff\"}":              strictjson.ErrNotObject,
		`{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`: strictjson.ErrTooDeep,
		`{"a":[[[[[[[[1]]]]]]]]}`: strictjson.ErrTooDeep,
	} {
		if _, err := strictjson.Object([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%.40s: got %v, want %v", text, err, want)
		}
	}
}

func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,{"c":null}]},"d":"e"}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := strictjson.Object(text)
		if err != nil {
			return
		}
		var lax map[string]any
		if err := json.Unmarshal(text, &lax); err != nil || len(lax) != len(got) {
			t.Fatalf("accepted %q: %v", text, err)
		}
	})
}
