package pages

import (
	"errors"
	"strings"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/i18n"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/ui"
)

// said is what is shown for a fault.
type said struct {
	key  i18n.Key
	args []any
}

// words maps the codes of faults that people can cause to what is said beside the field.
var words = map[string]said{
	account.ErrEmail.Code:            {key: ui.ErrEmailFormat},
	account.ErrUsername.Code:         {ui.ErrUsernameFormat, []any{"Min", 3, "Max", 64}},
	account.ErrTaken.Code:            {key: ui.ErrUsernameTaken},
	account.ErrGivenName.Code:        {key: ui.ErrNameCharacters},
	account.ErrFamilyName.Code:       {key: ui.ErrNameCharacters},
	account.ErrBirthDate.Code:        {key: ui.ErrBirthInvalid},
	account.ErrCountry.Code:          {key: ui.ErrCountry},
	account.ErrLocale.Code:           {key: ui.ErrLocale},
	account.ErrPasswordShort.Code:    {ui.ErrPasswordShort, []any{"Min", account.MinPassword}},
	account.ErrPasswordLong.Code:     {ui.ErrPasswordLong, []any{"Max", account.MaxPasswordBytes}},
	account.ErrPasswordEncoding.Code: {key: ui.ErrPasswordEncoding},
	account.ErrPasswordCommon.Code:   {key: ui.ErrPasswordCommon},
	account.ErrPasswordContext.Code:  {key: ui.ErrPasswordContext},
	account.ErrPasswordRepeats.Code:  {key: ui.ErrPasswordRepeats},
	account.ErrPasswordSequence.Code: {key: ui.ErrPasswordSequence},
	account.ErrPasswordKeyboard.Code: {key: ui.ErrPasswordKeyboard},
	factor.ErrCodeFormat.Code:        {key: ui.ErrCodeFormat},
	factor.ErrCodeWrong.Code:         {key: ui.ErrCodeWrong},
	factor.ErrCodeUsed.Code:          {key: ui.ErrCodeUsed},
	factor.ErrRecoveryWrong.Code:     {key: ui.ErrRecoveryWrong},
	factor.ErrEnrolmentExpired.Code:  {key: ui.ErrEnrolmentExpired},
}

// fieldErrors turns faults into what is said beside each field. Fields that were left empty are asked for in their own
// words.
func fieldErrors(faults []error, f ui.PersonFields) []ui.FieldError {
	out := make([]ui.FieldError, 0, len(faults))
	for _, err := range faults {
		x := fault.Of(err)
		switch {
		case x.Field == "given_name" && strings.TrimSpace(f.GivenName) == "":
			out = append(out, ui.Wrong("given_name", ui.ErrGivenName))
		case x.Field == "family_name" && strings.TrimSpace(f.FamilyName) == "":
			out = append(out, ui.Wrong("family_name", ui.ErrFamilyName))
		case x.Field == "birth_date" && f.BirthMonth+f.BirthDay+f.BirthYear == "":
			out = append(out, ui.Wrong("birth_date", ui.ErrBirthRequired))
		default:
			out = append(out, fieldError(err, x.Field))
		}
	}
	return out
}

func fieldError(err error, field string) ui.FieldError {
	w, ok := words[fault.Of(err).Code]
	if !ok {
		w = said{key: ui.ErrRequired}
	}
	return ui.Wrong(field, w.key, w.args...)
}

// advice says how to make a better password than the one that was refused.
func advice(pw string, err error) ui.PasswordAdvice {
	switch {
	case pw == "":
		return ui.PasswordAdvice{}
	case errors.Is(err, account.ErrPasswordShort):
		return ui.PasswordAdvice{Strength: 1, Hint: ui.HintLonger}
	case errors.Is(err, account.ErrPasswordContext):
		return ui.PasswordAdvice{Strength: 1, Hint: ui.HintUnrelated}
	case err != nil:
		return ui.PasswordAdvice{Strength: 1, Hint: ui.HintWords}
	}
	return ui.PasswordAdvice{Strength: account.Strength(pw), Hint: ui.HintGood}
}

// throttled returns how long to wait if err says that guesses come too fast.
func throttled(err error) *ui.Throttle {
	if errors.Is(err, throttle.ErrWait) || errors.Is(err, throttle.ErrLocked) {
		return &ui.Throttle{Wait: fault.Of(err).RetryAfter}
	}
	return nil
}
