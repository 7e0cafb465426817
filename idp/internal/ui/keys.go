package ui

import "ellis.example/idp/internal/i18n"

// What can be wrong with a field. Each names what to change. Places to fill are named in the comment.
const (
	ErrRequired          i18n.Key = "error.required"             // a field without particular words
	ErrEmailRequired     i18n.Key = "error.email.required"       //
	ErrEmailFormat       i18n.Key = "error.email.format"         //
	ErrGivenName         i18n.Key = "error.given_name.required"  //
	ErrFamilyName        i18n.Key = "error.family_name.required" //
	ErrNameLong          i18n.Key = "error.name.long"            // Max
	ErrNameCharacters    i18n.Key = "error.name.characters"      //
	ErrBirthRequired     i18n.Key = "error.birth_date.required"  //
	ErrBirthInvalid      i18n.Key = "error.birth_date.invalid"   // no such day
	ErrBirthFuture       i18n.Key = "error.birth_date.future"    //
	ErrBirthPast         i18n.Key = "error.birth_date.past"      // too long ago
	ErrBirthMonth        i18n.Key = "error.birth_month"          //
	ErrBirthDay          i18n.Key = "error.birth_day"            //
	ErrBirthYear         i18n.Key = "error.birth_year"           //
	ErrCountry           i18n.Key = "error.country.required"     //
	ErrLocale            i18n.Key = "error.locale"               //
	ErrUsernameFormat    i18n.Key = "error.username.format"      // Min, Max
	ErrUsernameTaken     i18n.Key = "error.username.taken"       //
	ErrPasswordRequired  i18n.Key = "error.password.required"    //
	ErrPasswordCurrent   i18n.Key = "error.password.current"     // the current one is missing
	ErrPasswordShort     i18n.Key = "error.password.short"       // Min
	ErrPasswordLong      i18n.Key = "error.password.long"        // Max, in bytes
	ErrPasswordCommon    i18n.Key = "error.password.common"      //
	ErrPasswordBreached  i18n.Key = "error.password.breached"    //
	ErrPasswordContext   i18n.Key = "error.password.context"     // contains name, address or the service's name
	ErrPasswordRepeats   i18n.Key = "error.password.repeats"     //
	ErrPasswordSequence  i18n.Key = "error.password.sequence"    //
	ErrPasswordKeyboard  i18n.Key = "error.password.keyboard"    //
	ErrPasswordSame      i18n.Key = "error.password.same"        // new one equals the old one
	ErrPasswordEncoding  i18n.Key = "error.password.encoding"    // not text
	ErrPasswordWrong     i18n.Key = "error.password.wrong"       // the current one, when asked again
	ErrIdentifierMissing i18n.Key = "error.identifier.required"  //
	ErrSignIn            i18n.Key = "error.signin"               // identifier or password: never which
	ErrCodeRequired      i18n.Key = "error.code.required"        //
	ErrCodeFormat        i18n.Key = "error.code.format"          // six digits
	ErrCodeWrong         i18n.Key = "error.code.wrong"           //
	ErrCodeUsed          i18n.Key = "error.code.used"            // wait for the next one
	ErrRecoveryRequired  i18n.Key = "error.recovery.required"    //
	ErrRecoveryWrong     i18n.Key = "error.recovery.wrong"       // unknown or used
	ErrTooMany           i18n.Key = "error.too_many"             // Wait: a Duration
	ErrFormExpired       i18n.Key = "error.form_expired"         // CSRF token no longer fits: send it again
	ErrConflict          i18n.Key = "error.conflict"             // changed in another tab: look and send again
	ErrEnrolmentExpired  i18n.Key = "error.enrolment.expired"    // a new QR code is shown
)

// What was done.
const (
	NoticeMailResent       i18n.Key = "notice.mail_resent"
	NoticeProfileSaved     i18n.Key = "notice.profile_saved"
	NoticePasswordChanged  i18n.Key = "notice.password_changed"
	NoticeFactorAdded      i18n.Key = "notice.factor_added"
	NoticeFactorRemoved    i18n.Key = "notice.factor_removed"
	NoticeCodesRenewed     i18n.Key = "notice.codes_renewed"
	NoticeSessionEnded     i18n.Key = "notice.session_ended"
	NoticeSessionsEnded    i18n.Key = "notice.sessions_ended" // Count
	NoticeAppWithdrawn     i18n.Key = "notice.app_withdrawn"  // App
	NoticeAccountCreated   i18n.Key = "notice.account_created"
	NoticeSignedOut        i18n.Key = "notice.signed_out"
	NoticeRecoveryCodeUsed i18n.Key = "notice.recovery_code_used" // Count: how many are left
)

// How to make a better password (PasswordAdvice.Hint).
const (
	HintLonger    i18n.Key = "hint.password.longer"
	HintWords     i18n.Key = "hint.password.words"
	HintUnrelated i18n.Key = "hint.password.unrelated"
	HintGood      i18n.Key = "hint.password.good"
)
