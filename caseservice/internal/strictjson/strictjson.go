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
// Their values are parts of text. Errors: ErrNotObject, ErrDuplicate, ErrTooDeep.
func Object(text []byte) (map[string]json.RawMessage, error) {
	if len(text) == 0 || text[0] != '{' || !utf8.Valid(text) || !json.Valid(text) {
		return nil, ErrNotObject
	}
	s := scan{text: text}
	return s.object(1)
}

// scan is a place in a text that is valid JSON, which is what its methods rely on.
type scan struct {
	text []byte
	at   int
}

// object reads the object that begins here, at a depth.
func (s *scan) object(depth int) (map[string]json.RawMessage, error) {
	if depth > maxDepth {
		return nil, ErrTooDeep
	}
	out := map[string]json.RawMessage{}
	s.at++
	for s.next() != '}' {
		name, err := nameOf(s.quoted())
		if err != nil {
			return nil, err
		}
		if _, twice := out[name]; twice {
			return nil, ErrDuplicate
		}
		s.next()
		s.at++ // the colon
		if out[name], err = s.value(depth); err != nil {
			return nil, err
		}
		s.pass(',')
	}
	s.at++
	return out, nil
}

// array passes the array that begins here, at a depth.
func (s *scan) array(depth int) error {
	if depth > maxDepth {
		return ErrTooDeep
	}
	s.at++
	for s.next() != ']' {
		if _, err := s.value(depth); err != nil {
			return err
		}
		s.pass(',')
	}
	s.at++
	return nil
}

// value returns the value that comes next, in an object or array at a depth.
func (s *scan) value(depth int) (json.RawMessage, error) {
	var err error
	first := s.next()
	from := s.at
	switch first {
	case '{':
		_, err = s.object(depth + 1)
	case '[':
		err = s.array(depth + 1)
	case '"':
		s.quoted()
	default: // a number, true, false, null
		s.at += bytes.IndexAny(s.text[s.at:], ",]} \t\r\n")
	}
	return s.text[from:s.at:s.at], err
}

// quoted returns the string that begins here, with its quotes.
func (s *scan) quoted() []byte {
	from := s.at
	for s.at++; s.text[s.at] != '"'; s.at++ {
		if s.text[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
	return s.text[from:s.at]
}

// next passes white space and returns what comes then.
func (s *scan) next() byte {
	for {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
}

// pass passes c, if it comes next.
func (s *scan) pass(c byte) {
	if s.next() == c {
		s.at++
	}
}

// nameOf is what a string of a text means: two spellings are one name.
func nameOf(quoted []byte) (name string, err error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	if json.Unmarshal(quoted, &name) != nil {
		return "", ErrNotObject
	}
	return name, nil
}
