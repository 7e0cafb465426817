package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// maxDepth bounds nesting: nothing that the service reads goes deeper than three.
const maxDepth = 8

// What can be wrong with a text.
var (
	ErrNotObject = errors.New("not a JSON object in UTF-8")
	ErrDuplicate = errors.New("a member occurs twice")
	ErrTooDeep   = errors.New("nested too deeply")
)

// Object reads a JSON object whose members occur once each, at every level, and returns its members by their exact names.
// Errors: ErrNotObject, ErrDuplicate, ErrTooDeep.
func Object(text []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(text) || !json.Valid(text) || len(text) == 0 || text[0] != '{' {
		return nil, ErrNotObject
	}
	if err := checkMembers(text); err != nil {
		return nil, err
	}
	var out map[string]json.RawMessage
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, ErrNotObject
	}
	return out, nil
}

// level is one open object or array. Keys alternate with values in an object only.
type level struct {
	seen    map[string]struct{} // nil in an array
	wantKey bool
}

// checkMembers walks valid JSON and looks for duplicates and depth.
func checkMembers(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var open []level
	for {
		tok, err := d.Token()
		if err != nil || (len(open) == 0 && tok == nil) {
			return ErrNotObject
		}
		if delim, ok := tok.(json.Delim); ok {
			switch delim {
			case '{':
				open = append(open, level{seen: map[string]struct{}{}, wantKey: true})
			case '[':
				open = append(open, level{})
			default:
				if open = open[:len(open)-1]; len(open) == 0 {
					return nil
				}
				open[len(open)-1].wantKey = true
			}
			if len(open) > maxDepth {
				return ErrTooDeep
			}
			continue
		}
		if err := open[len(open)-1].take(tok); err != nil {
			return err
		}
	}
}

// take notes a key or a plain value.
func (l *level) take(tok json.Token) error {
	if l.seen == nil {
		return nil
	}
	if !l.wantKey {
		l.wantKey = true
		return nil
	}
	name, ok := tok.(string)
	if !ok {
		return ErrNotObject
	}
	if _, twice := l.seen[name]; twice {
		return ErrDuplicate
	}
	l.seen[name] = struct{}{}
	l.wantKey = false
	return nil
}
