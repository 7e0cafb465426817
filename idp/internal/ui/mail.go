package ui

import "time"

// MailMessage is a mail that Renderer.Mail can write: a struct that embeds MailBase.
type MailMessage interface {
	// MailTemplate is the stem of the message's keys in the catalogue: "mail.<stem>.subject", …
	MailTemplate() string
	mailBase() MailBase
}

// MailBase is the part that all mails have in common. Names are shown as inert text: no markup, no line ends, no
// direction marks.
type MailBase struct {
	GivenName string // may be empty
	Email     string // whom it goes to, and whose account it concerns
	// AccountURL opens the account page, HelpURL says what to do if it was not you. Absolute, below the issuer.
	AccountURL string
	HelpURL    string
}

func (m MailBase) mailBase() MailBase { return m }

// Where is what is known of the browser that did something.
type Where struct {
	At        time.Time
	UserAgent string
	IP        string
}

// MailConfirmAddress carries the sign-up link.
type MailConfirmAddress struct {
	MailBase
	LinkURL string
	Valid   time.Duration
}

// MailAlreadyHaveAccount tells an owner that somebody began a sign-up with their address.
type MailAlreadyHaveAccount struct {
	MailBase
	SigninURL string
	Where     Where
}

// MailPasswordChanged reports a new password.
type MailPasswordChanged struct {
	MailBase
	Where Where
}

// MailFactorAdded reports a new authenticator app.
type MailFactorAdded struct {
	MailBase
	Where Where
}

// MailFactorRemoved reports that an authenticator app was taken off.
type MailFactorRemoved struct {
	MailBase
	Where Where
}

// MailRecoveryCodeUsed reports a sign-in with a recovery code.
type MailRecoveryCodeUsed struct {
	MailBase
	Where Where
	Left  int
}

// MailRecoveryCodesRenewed reports that the old codes are dead.
type MailRecoveryCodesRenewed struct {
	MailBase
	Where Where
}

// MailNewDeviceSignIn reports a sign-in from a browser that was not seen before.
type MailNewDeviceSignIn struct {
	MailBase
	Where Where
}

// MailSuspiciousAttempts reports many failures.
type MailSuspiciousAttempts struct {
	MailBase
	Where Where // the last one
	Count int
}

// MailTemplate implements MailMessage.
func (MailConfirmAddress) MailTemplate() string       { return "confirm_address" }
func (MailAlreadyHaveAccount) MailTemplate() string   { return "already_have_account" }
func (MailPasswordChanged) MailTemplate() string      { return "password_changed" }
func (MailFactorAdded) MailTemplate() string          { return "factor_added" }
func (MailFactorRemoved) MailTemplate() string        { return "factor_removed" }
func (MailRecoveryCodeUsed) MailTemplate() string     { return "recovery_code_used" }
func (MailRecoveryCodesRenewed) MailTemplate() string { return "recovery_codes_renewed" }
func (MailNewDeviceSignIn) MailTemplate() string      { return "new_device_sign_in" }
func (MailSuspiciousAttempts) MailTemplate() string   { return "suspicious_attempts" }
