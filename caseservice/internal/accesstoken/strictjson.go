package accesstoken

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// maxDepth bounds nesting: no header or claim of ours goes deeper than two.
const maxDepth = 8

var (
	errNotJSON    = errors.New("not a JSON object in UTF-8")
	errDuplicate  = errors.New("a member occurs twice")
	errTooDeep    = errors.New("nested too deeply")
	errWrongType  = errors.New("a member has the wrong type")
	errMissing    = errors.New("a required member is missing")
	errBadContent = errors.New("a member has a value that is too long or holds forbidden characters")
)

// object reads a JSON object whose members occur once each, at every level: with duplicates, two readers of one token
// could see different claims (RFC 8725 §2.4, RFC 7519 §4).
func object(text []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(text) || !json.Valid(text) || len(text) == 0 || text[0] != '{' {
		return nil, errNotJSON
	}
	if err := checkMembers(text); err != nil {
		return nil, err
	}
	var out map[string]json.RawMessage
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, errNotJSON
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
			return errNotJSON
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
				return errTooDeep
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
		return errNotJSON
	}
	if _, twice := l.seen[name]; twice {
		return errDuplicate
	}
	l.seen[name] = struct{}{}
	l.wantKey = false
	return nil
}

// text returns a string member of at most max bytes of visible ASCII, "" when it is absent.
func visible(m map[string]json.RawMessage, name string, max int) (string, error) {
	s, err := stringMember(m, name)
	if err != nil {
		return "", err
	}
	if len(s) > max {
		return "", errBadContent
	}
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return "", errBadContent
		}
	}
	return s, nil
}

// stringMember returns a string member, "" when it is absent. Only a present, non-empty string is distinguishable from an
// absent one; nothing in a token means anything by being empty.
func stringMember(m map[string]json.RawMessage, name string) (string, error) {
	raw, ok := m[name]
	if !ok {
		return "", nil
	}
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", errWrongType
	}
	return s, nil
}

// seconds returns a NumericDate in whole seconds; ok is false when it is absent.
func seconds(m map[string]json.RawMessage, name string) (n int64, ok bool, err error) {
	raw, ok := m[name]
	if !ok {
		return 0, false, nil
	}
	if raw[0] == '"' || raw[0] == 'n' || json.Unmarshal(raw, &n) != nil || n < 0 || n > maxDate {
		return 0, false, errWrongType
	}
	return n, true, nil
}

// maxDate is the end of the year 9999: later dates cannot be printed, and sums with them could overflow.
const maxDate = 253402300799
