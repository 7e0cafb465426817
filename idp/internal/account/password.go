package account

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the blocklist
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"ellis.example/idp/internal/fault"
)

// Rules of passwords (NIST SP 800-63B-4 §3.1.1.2). There are no composition rules and no expiry.
const (
	MinPassword      = 15   // code points
	MaxPasswordBytes = 1024 // refused before anything else looks at it
)

// Faults of new passwords; Code is what pages translate. Each tells the reason.
var (
	ErrPasswordShort    = fault.New(fault.Invalid, "password_short", "use at least 15 characters; several words are easy to remember").At("password")
	ErrPasswordLong     = fault.New(fault.Invalid, "password_long", "use at most 1024 bytes").At("password")
	ErrPasswordEncoding = fault.New(fault.Invalid, "password_encoding", "the password is not valid text").At("password")
	ErrPasswordCommon   = fault.New(fault.Invalid, "password_common", "this password is on the list of those that are tried first; choose another").At("password")
	ErrPasswordContext  = fault.New(fault.Invalid, "password_context", "this password is made of your name, your address or the name of this service; choose another").At("password")
	ErrPasswordRepeats  = fault.New(fault.Invalid, "password_repeats", "this password repeats one short piece; choose another").At("password")
	ErrPasswordSequence = fault.New(fault.Invalid, "password_sequence", "this password counts up or down; choose another").At("password")
	ErrPasswordKeyboard = fault.New(fault.Invalid, "password_keyboard", "this password runs along the keyboard; choose another").At("password")
)

// brand are words that stand for this service.
var brand = []string{"ellis", "portal", "identity", "signin", "login", "password", "account", "myuscis", "uscis", "immigration", "casestatus", "greencard"}

//go:embed blocklist/passwords.txt.gz
var packed []byte

// list holds the sorted blocklist as one text and where its lines begin: a map of it would take ten times the memory.
type list struct {
	text  []byte
	lines []uint32
}

var blocklist = sync.OnceValue(func() list {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic("account: embedded blocklist: " + err.Error()) // an invariant of the build
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic("account: embedded blocklist: " + err.Error())
	}
	l := list{text: text}
	for at := 0; at < len(text); {
		l.lines = append(l.lines, uint32(at))
		end := bytes.IndexByte(text[at:], '\n')
		if end < 0 {
			break
		}
		at += end + 1
	}
	return l
})

func (l list) line(i int) []byte {
	s := l.text[l.lines[i]:]
	if end := bytes.IndexByte(s, '\n'); end >= 0 {
		s = s[:end]
	}
	return s
}

func (l list) has(word string) bool {
	lo, hi := 0, len(l.lines)
	for lo < hi {
		mid := (lo + hi) / 2
		switch c := bytes.Compare(l.line(mid), []byte(word)); {
		case c == 0:
			return true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return false
}

// CheckPassword says whether a person may take pw as a new password. about are words that are known of the person: names,
// address, user name, date of birth. The whole password counts, after NFKC; its length is the lesser of before and after,
// because one typed character can stand for many there, and several for one. Errors: the faults above, the first that fits.
func CheckPassword(pw string, about ...string) error {
	switch {
	case len(pw) > MaxPasswordBytes:
		return ErrPasswordLong
	case !utf8.ValidString(pw) || strings.ContainsRune(pw, 0):
		return ErrPasswordEncoding
	}
	length := utf8.RuneCountInString(pw)
	pw = norm.NFKC.String(pw)
	length = min(length, utf8.RuneCountInString(pw))
	low := cases.Fold().String(pw)
	plain := strings.Join(strings.Fields(low), "")
	common := blocklist().has(low) || blocklist().has(plain)
	switch {
	case common:
		return ErrPasswordCommon
	case length < MinPassword:
		return ErrPasswordShort
	case repeats(plain):
		return ErrPasswordRepeats
	case runs(plain, isStep):
		return ErrPasswordSequence
	case runs(plain, isNeighbour):
		return ErrPasswordKeyboard
	case onlyContext(low, about):
		return ErrPasswordContext
	case mostlyCommon(plain):
		return ErrPasswordCommon
	}
	return nil
}

// repeats reports whether s is one piece over and over (the last may be cut), the piece being a third of it or less, or
// itself a common password.
func repeats(s string) bool {
	r := []rune(s)
	for n := 1; n <= len(r)/2; n++ {
		whole := true
		for i := n; i < len(r) && whole; i++ {
			whole = r[i] == r[i-n]
		}
		if whole && (n <= len(r)/3 || blocklist().has(string(r[:n]))) {
			return true
		}
	}
	// a password of hardly any different characters is no better
	distinct := map[rune]bool{}
	for _, c := range r {
		distinct[c] = true
	}
	return len(distinct) <= 2
}

// runs reports whether s falls into at most three pieces in which each character follows the one before.
func runs(s string, follows func(a, b rune) bool) bool {
	r := []rune(s)
	pieces := 1
	for i := 1; i < len(r); i++ {
		if !follows(r[i-1], r[i]) {
			pieces++
		}
	}
	return pieces <= max(1, len(r)/8)
}

// isStep reports whether b comes right after or before a, as in abc, 321 and 890.
func isStep(a, b rune) bool {
	return b-a == 1 || a-b == 1 || (a == '9' && b == '0') || (a == '0' && b == '9') || (a == 'z' && b == 'a')
}

var rows = []string{"`1234567890-=", "~!@#$%^&*()_+", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiopü", "azertyuiop", "yxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/"}

// isNeighbour reports whether two keys lie side by side, or one is the end and the other the beginning of a row.
func isNeighbour(a, b rune) bool {
	for _, row := range rows {
		i, j := strings.IndexRune(row, a), strings.IndexRune(row, b)
		if i >= 0 && j >= 0 && (i-j == 1 || j-i == 1) {
			return true
		}
		if i == len(row)-1 && j < 0 && slices.ContainsFunc(rows, func(o string) bool { return strings.IndexRune(o, b) == 0 }) {
			return true
		}
	}
	return strings.ContainsRune("pl", a) && strings.ContainsRune("az", b) // from the end of a row to the next
}

// onlyContext reports whether hardly anything is left of s without the words that everybody would try first for this
// person.
func onlyContext(s string, about []string) bool {
	words := slices.Clone(brand)
	for _, a := range about {
		for _, w := range strings.FieldsFunc(cases.Fold().String(norm.NFKC.String(a)), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if utf8.RuneCountInString(w) >= 3 {
				words = append(words, w)
			}
		}
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	rest, found := s, false
	for _, w := range words {
		if strings.Contains(rest, w) {
			rest, found = strings.ReplaceAll(rest, w, " "), true
		}
	}
	rest = strings.Join(strings.Fields(rest), "")
	return found && (utf8.RuneCountInString(rest) < 8 || isNumber(rest))
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789-./_!") == "" }

// mostlyCommon reports whether s is a common password with digits or signs around it, or two common ones in a row.
func mostlyCommon(s string) bool {
	core := strings.TrimFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	if len(core) > 0 && len(core) >= len(s)/2 && blocklist().has(core) {
		return true
	}
	for i := 4; i <= len(s)-4; i++ {
		if blocklist().has(s[:i]) && blocklist().has(s[i:]) {
			return true
		}
	}
	return false
}

// Strength is a rough measure of a password that passed: 1 (just allowed) to 5, and what would make it better.
func Strength(pw string) int {
	r := []rune(norm.NFKC.String(pw))
	distinct := map[rune]bool{}
	for _, c := range r {
		distinct[c] = true
	}
	words := len(strings.FieldsFunc(string(r), func(c rune) bool { return !unicode.IsLetter(c) }))
	score := 1
	for _, better := range []bool{len(r) >= 18, len(r) >= 24, len(distinct) >= 10, words >= 4} {
		if better {
			score++
		}
	}
	return score
}
