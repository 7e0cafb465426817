package ui

import "ellis.example/idp/internal/i18n"

// SignupStart asks for the e-mail address alone. Fields: email.
type SignupStart struct {
	Base
	Email     string
	SigninURL string // for those who have an account
}

// CheckMail says that a mail is on its way: the same page whether the address is known or not.
// The form posts the field email to ResendURL.
type CheckMail struct {
	Base
	Email     string
	ResendURL string
	ChangeURL string // back to the form with another address
	Resent    bool
}

// LinkLanding is what a mailed link opens. GET does nothing: its button posts the field token to Here.
type LinkLanding struct {
	Base
	Email string
	Token string
}

// LinkState says why a mailed link does not work.
type LinkState string

// Why a link is dead.
const (
	LinkExpired LinkState = "expired"
	LinkUsed    LinkState = "used"
	LinkUnknown LinkState = "unknown"
)

// LinkDead offers a new link. The form posts the field email to ResendURL.
type LinkDead struct {
	Base
	State     LinkState
	Email     string // put into the form, if known
	ResendURL string
	SigninURL string
}

// SignupDetails asks for everything else. Fields: given_name, family_name, birth_month, birth_day, birth_year (errors of
// the date as a whole: birth_date), country, username, locale, password.
type SignupDetails struct {
	Base
	Email string // proven, shown only
	PersonFields
	Username string
	Password PasswordAdvice
}

// PersonFields are the particulars of a person as they were typed.
type PersonFields struct {
	GivenName  string
	FamilyName string
	BirthMonth string
	BirthDay   string
	BirthYear  string
	Country    string // ISO 3166-1 alpha-2
	Locale     string // "en" or "es"
}

// PasswordAdvice is shown beside a refused new password. Zero: nothing was typed yet.
type PasswordAdvice struct {
	Strength int      // 1 very weak … 5 strong; 0: do not show
	Hint     i18n.Key // how to make a better one; may be empty
}

// OfferFactor recommends a second factor. Welcome is set right after the sign-up, which it then also confirms.
type OfferFactor struct {
	Base
	Welcome   bool
	GivenName string
	EnrolURL  string
	SkipURL   string // empty: a second factor is required and cannot be skipped
}

// EnrolTOTP shows a new authenticator seed. Fields: code; hidden: enrolment.
type EnrolTOTP struct {
	Base
	App       *App
	URI       string // otpauth:// URI; the QR code is drawn from it
	Secret    string // base32 without padding; shown in groups of four
	Issuer    string // as the authenticator app will show it
	Account   string
	Enrolment string // names the pending seed; goes back as the hidden field "enrolment"
	CancelURL string // empty: no way around
}

// RecoveryCodes shows new codes once. The button posts saved=1 to Here.
type RecoveryCodes struct {
	Base
	Account string // whose codes they are, for the file and the print
	Codes   []string
}

// Template implements Page.
func (SignupStart) Template() string   { return "signup_start" }
func (CheckMail) Template() string     { return "check_mail" }
func (LinkLanding) Template() string   { return "link_landing" }
func (LinkDead) Template() string      { return "link_dead" }
func (SignupDetails) Template() string { return "signup_details" }
func (OfferFactor) Template() string   { return "offer_factor" }
func (EnrolTOTP) Template() string     { return "enrol_totp" }
func (RecoveryCodes) Template() string { return "recovery_codes" }
