package account

import (
	"strings"
	"time"

	"ellis.example/idp/internal/ident"
)

// Draft is what a person says of themselves, as it was typed.
type Draft struct {
	Email      string
	GivenName  string
	FamilyName string
	BirthDate  string // YYYY-MM-DD
	Country    string
	Locale     string
	Username   string // may be empty
}

// Check reads the particulars of a draft into a and returns every fault: each names its field. E-mail address and user
// name are left alone: they are identifiers, and change only by ways of their own.
func (d Draft) Check(a Account, now time.Time) (Account, []error) {
	var faults []error
	set := func(to *string, v string, err error) {
		if err != nil {
			faults = append(faults, err)
			return
		}
		*to = v
	}
	given, err := Name(d.GivenName, ErrGivenName)
	set(&a.GivenName, given, err)
	family, err := Name(d.FamilyName, ErrFamilyName)
	set(&a.FamilyName, family, err)
	birth, err := BirthDate(d.BirthDate, now)
	set(&a.BirthDate, birth, err)
	country, err := Country(d.Country)
	set(&a.Country, country, err)
	locale, err := Locale(d.Locale)
	set(&a.Locale, locale, err)
	return a, faults
}

// New makes an account of a draft whose address was proven at now, with its canonical identifiers. It returns every
// fault at once.
func (d Draft) New(now time.Time) (Create, []error) {
	a, faults := d.Check(Account{ID: ident.New("acc"), Status: Active, EmailVerifiedAt: now, CreatedAt: now, UpdatedAt: now}, now)
	mailbox, email, err := Address(d.Email)
	if err != nil {
		faults = append(faults, err)
	}
	a.Email = mailbox
	out := Create{Canonical: []string{email}}
	if name := strings.TrimSpace(d.Username); name != "" {
		c, err := CanonicalUsername(name)
		if err != nil {
			faults = append(faults, err)
		}
		a.Username = name
		out.Canonical = append(out.Canonical, c)
	}
	out.Account = a
	return out, faults
}

// About are the words of a draft that a password must not be made of.
func (d Draft) About() []string {
	return []string{d.GivenName, d.FamilyName, d.Email, d.Username, d.BirthDate, strings.ReplaceAll(d.BirthDate, "-", "")}
}

// About are the words of an account that a password must not be made of.
func (a Account) About() []string {
	return Draft{Email: a.Email, GivenName: a.GivenName, FamilyName: a.FamilyName, BirthDate: a.BirthDate, Username: a.Username}.About()
}
