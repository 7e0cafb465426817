package account

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"ellis.example/idp/internal/fault"
)

// Limits of identifiers, in bytes (RFC 5321 §4.5.3.1).
const (
	maxEmail    = 254
	maxLocal    = 64
	maxLabel    = 63
	minUsername = 3
	maxUsername = 64
)

// Faults of identifiers; Code is what pages translate.
var (
	ErrEmail    = fault.New(fault.Invalid, "email_invalid", "write one e-mail address, such as name@example.org").At("email")
	ErrUsername = fault.New(fault.Invalid, "username_invalid", "use 3 to 64 letters, digits, dots, hyphens or underscores of one script, beginning with a letter").At("username")
	ErrTaken    = fault.New(fault.Conflict, "identifier_taken", "this name or address is already in use")
)

const atext = "!#$%&'*+-/=?^_`{|}~."

// CanonicalEmail returns the one form under which an address is stored and found. Errors: ErrEmail.
func CanonicalEmail(s string) (string, error) {
	_, canonical, err := Address(s)
	return canonical, err
}

// Address reads an address: mailbox is where mail goes, NFKC with the domain in its ASCII form, so that what is proven is
// the mailbox that was checked and no look-alike of it; canonical is that in lower case. Quoted local parts, comments,
// address literals and addresses without a dot in the domain are refused: one address has one reading. Errors: ErrEmail.
func Address(s string) (mailbox, canonical string, err error) {
	if len(s) > maxEmail || !utf8.ValidString(s) {
		return "", "", ErrEmail
	}
	s = norm.NFKC.String(strings.TrimSpace(s))
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || len(local) > maxLocal || strings.Contains(domain, "@") {
		return "", "", ErrEmail
	}
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return "", "", ErrEmail
	}
	for _, r := range local {
		if !(unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mn, r) || strings.ContainsRune(atext, r)) {
			return "", "", ErrEmail
		}
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || !hostName(ascii) {
		return "", "", ErrEmail
	}
	mailbox = local + "@" + strings.ToLower(ascii)
	canonical = strings.ToLower(mailbox)
	if max(len(mailbox), len(canonical)) > maxEmail {
		return "", "", ErrEmail
	}
	return mailbox, canonical, nil
}

// hostName reports whether an ASCII domain of letters, digits, hyphens and dots has two labels or more, each of 1 to 63
// bytes (RFC 1035 §2.3.4), and ends in one that begins with a letter: what ends in a number is an address literal without
// its brackets (RFC 3696 §2).
func hostName(domain string) bool {
	labels := strings.Split(domain, ".")
	for _, l := range labels {
		if l == "" || len(l) > maxLabel {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(labels) > 1 && unicode.IsLetter(rune(last[0]))
}

// CanonicalUsername returns the one form under which a user name is stored and found: NFKC and case folded. Names of
// mixed scripts are refused, so that none is made of another's look-alike letters (UTS 39 §5.1). Errors: ErrUsername.
func CanonicalUsername(s string) (string, error) {
	if len(s) > 4*maxUsername || !utf8.ValidString(s) {
		return "", ErrUsername
	}
	s = cases.Fold().String(norm.NFKC.String(strings.TrimSpace(s)))
	if n := utf8.RuneCountInString(s); n < minUsername || n > maxUsername {
		return "", ErrUsername
	}
	var script *unicode.RangeTable
	for i, r := range s {
		switch {
		case unicode.IsLetter(r):
			t := scriptOf(r)
			if t == nil || (script != nil && script != t) {
				return "", ErrUsername
			}
			script = t
		case i == 0:
			return "", ErrUsername
		case r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		default:
			return "", ErrUsername
		}
	}
	return s, nil
}

// scripts that a user name may be written in. Han and kana count as one, as Japanese mixes them.
var scripts = []*unicode.RangeTable{
	unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Arabic, unicode.Hebrew, unicode.Han, unicode.Hangul,
	unicode.Devanagari, unicode.Thai, unicode.Armenian, unicode.Georgian, unicode.Bengali, unicode.Tamil, unicode.Ethiopic,
}

func scriptOf(r rune) *unicode.RangeTable {
	if unicode.In(r, unicode.Hiragana, unicode.Katakana) {
		return unicode.Han
	}
	for _, t := range scripts {
		if unicode.Is(t, r) {
			return t
		}
	}
	return nil
}

// Canonical reads what a person typed to be found by: an address if it has an @, else a user name. The two can never be
// equal, because a user name has no @. Errors: ErrEmail, ErrUsername.
func Canonical(s string) (string, error) {
	if strings.Contains(norm.NFKC.String(s[:min(len(s), 1024)]), "@") {
		return CanonicalEmail(s)
	}
	return CanonicalUsername(s)
}
