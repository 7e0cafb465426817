package account

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"ellis.example/idp/internal/fault"
)

const (
	maxName    = 100 // code points
	maxAgeYear = 130
)

// Faults of a profile; Code is what pages translate.
var (
	ErrGivenName  = fault.New(fault.Invalid, "given_name_invalid", "write the given name with 1 to 100 letters").At("given_name")
	ErrFamilyName = fault.New(fault.Invalid, "family_name_invalid", "write the family name with 1 to 100 letters").At("family_name")
	ErrBirthDate  = fault.New(fault.Invalid, "birth_date_invalid", "write the date of birth as a real date in the past").At("birth_date")
	ErrCountry    = fault.New(fault.Invalid, "country_invalid", "choose the country of birth").At("country")
	ErrLocale     = fault.New(fault.Invalid, "locale_invalid", "choose a language: en or es").At("locale")
)

// Name returns s in the form in which names are kept: NFC, spaces folded. Control characters, marks that turn the
// direction of writing, and markup are refused, so that a name is inert wherever it is shown. The fault to return is
// the caller's.
func Name(s string, otherwise *fault.Error) (string, error) {
	if len(s) > 8*maxName || !utf8.ValidString(s) {
		return "", otherwise
	}
	s = norm.NFC.String(strings.Join(strings.Fields(s), " "))
	n := utf8.RuneCountInString(s)
	if n < 1 || n > maxName {
		return "", otherwise
	}
	letter := false
	for _, r := range s {
		letter = letter || unicode.IsLetter(r)
		if !(unicode.IsLetter(r) || unicode.IsMark(r) || strings.ContainsRune(" '’-.,·ʻ", r)) {
			return "", otherwise
		}
	}
	if !letter {
		return "", otherwise
	}
	return s, nil
}

// BirthDate checks a date of birth, YYYY-MM-DD, against today. Errors: ErrBirthDate.
func BirthDate(s string, now time.Time) (string, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.After(now) || t.Before(now.AddDate(-maxAgeYear, 0, 0)) {
		return "", ErrBirthDate
	}
	return s, nil
}

// Country checks an ISO 3166-1 alpha-2 code. Errors: ErrCountry.
func Country(s string) (string, error) {
	r, err := language.ParseRegion(s)
	if len(s) != 2 || strings.ToUpper(s) != s || err != nil || !r.IsCountry() || r.String() != s {
		return "", ErrCountry
	}
	return s, nil
}

// Locale checks a preferred language. Errors: ErrLocale.
func Locale(s string) (string, error) {
	if s == "en" || s == "es" {
		return s, nil
	}
	return "", ErrLocale
}
