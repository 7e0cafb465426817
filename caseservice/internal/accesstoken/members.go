package accesstoken

import (
	"encoding/json"
	"errors"
)

var (
	errWrongType  = errors.New("a member has the wrong type")
	errMissing    = errors.New("a required member is missing")
	errBadContent = errors.New("a member has a value that is too long or holds forbidden characters")
)

// visible returns a string member of at most limit bytes of visible ASCII, "" when it is absent.
func visible(m map[string]json.RawMessage, name string, limit int) (string, error) {
	s, err := stringMember(m, name)
	if err != nil {
		return "", err
	}
	if len(s) > limit {
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
