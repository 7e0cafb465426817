package uitest

import (
	"time"

	"ellis.example/idp/internal/ui"
)

// At is the time that the samples speak of.
var At = time.Date(2026, time.November, 24, 16, 10, 0, 0, time.UTC)

// Firefox and Phone are User-Agent headers as they are sent.
const (
	Firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
	Phone   = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)

func base(here string) ui.Base { return ui.Base{CSRF: "csrf-sample", Here: here} }

func signedIn(here string) ui.Base {
	b := base(here)
	b.SignedIn = &ui.SignedIn{Name: "Ana María Delgado-Fuentes"}
	return b
}

func app() *ui.App { return &ui.App{Name: "Case portal", Host: "portal.example"} }

func groups() []ui.ScopeGroup {
	return []ui.ScopeGroup{
		{Scopes: []ui.ScopeWords{{Name: "openid"}, {Name: "profile"}, {Name: "email"}, {Name: "offline_access"}}},
		{API: "Case status", Scopes: []ui.ScopeWords{
			{Name: "cases:read", Words: "See your cases, their history and what happens next"},
			{Name: "cases:claim", Words: "Add a case to your account with its claim code"},
		}},
	}
}

func person() ui.PersonFields {
	return ui.PersonFields{GivenName: "Ana María", FamilyName: "Delgado-Fuentes", BirthMonth: "04", BirthDay: "28", BirthYear: "1986", Country: "MX", Locale: "es"}
}

// Codes are ten recovery codes as they are shown.
func Codes() []string {
	return []string{
		"7KQ2-M9XD-4TBW-R8HV", "C3NP-6ZFA-J5GE-W2YS", "M8RT-V4KD-9XHC-2QBP", "A6WJ-3YNG-7FSE-5ZTK", "H2VD-8PXM-C4RQ-9BJW",
		"T5GK-6SYA-3NEF-7HZC", "R9XB-2MDV-8WQP-4KJT", "E7FN-5CHS-6YAG-3ZRX", "J4KW-9TBD-2VPM-8QEC", "S6HY-7GNA-5XFZ-3RKJ",
	}
}

// Pages returns samples of every page: as it comes first, and where it matters with errors or in its other states.
func Pages() []ui.Page {
	return append(append(append(signUp(), signIn()...), accountPages()...), others()...)
}

func signUp() []ui.Page {
	wrong := base("/signup/details")
	wrong.Errors = []ui.FieldError{
		ui.Wrong("given_name", ui.ErrGivenName), ui.Wrong("family_name", ui.ErrNameLong, "Max", 100), ui.Wrong("birth_date", ui.ErrBirthInvalid),
		ui.Wrong("country", ui.ErrCountry), ui.Wrong("locale", ui.ErrLocale), ui.Wrong("username", ui.ErrUsernameFormat, "Min", 3, "Max", 32),
		ui.Wrong("password", ui.ErrPasswordShort, "Min", 15), ui.Wrong("", ui.ErrFormExpired),
	}
	mail := base("/signup")
	mail.Errors = []ui.FieldError{ui.Wrong("email", ui.ErrEmailFormat)}
	code := base("/account/factors/enrol")
	code.Errors = []ui.FieldError{ui.Wrong("code", ui.ErrCodeWrong)}
	dead := base("/signup")
	enrol := ui.EnrolTOTP{
		Base: base("/account/factors/enrol"), URI: "otpauth://totp/Ellis:ana%40example.com?algorithm=SHA1&digits=6&issuer=Ellis&period=30&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
		Secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", Issuer: "Ellis", Account: "ana@example.com", Enrolment: "enr_1", CancelURL: "/account/factors",
	}
	enrolAgain := enrol
	enrolAgain.Base, enrolAgain.App = code, app()
	return []ui.Page{
		ui.SignupStart{Base: base("/signup"), SigninURL: "/signin"},
		ui.SignupStart{Base: mail, Email: "ana@", SigninURL: "/signin"},
		ui.CheckMail{Base: base("/signup/sent"), Email: "ana@example.com", ResendURL: "/signup/resend", ChangeURL: "/signup"},
		ui.CheckMail{Base: base("/signup/sent"), Email: "a.very.long.address.that.has.to.break.somewhere@subdomain.of.example.com", ResendURL: "/signup/resend", ChangeURL: "/signup", Resent: true},
		ui.LinkLanding{Base: base("/signup/link"), Email: "ana@example.com", Token: "eml_sample"},
		ui.LinkDead{Base: dead, State: ui.LinkExpired, Email: "ana@example.com", ResendURL: "/signup/resend", SigninURL: "/signin"},
		ui.LinkDead{Base: dead, State: ui.LinkUsed, ResendURL: "/signup/resend", SigninURL: "/signin"},
		ui.LinkDead{Base: mail, State: ui.LinkUnknown, Email: "ana@", ResendURL: "/signup/resend", SigninURL: "/signin"},
		ui.SignupDetails{Base: base("/signup/details"), Email: "ana@example.com", PersonFields: ui.PersonFields{Locale: "es"}},
		ui.SignupDetails{Base: wrong, Email: "ana@example.com", PersonFields: person(), Username: "ñ", Password: ui.PasswordAdvice{Strength: 2, Hint: ui.HintLonger}},
		ui.OfferFactor{Base: signedIn("/welcome"), Welcome: true, GivenName: "Ana María", EnrolURL: "/account/factors/enrol", SkipURL: "/account"},
		ui.OfferFactor{Base: signedIn("/signin/enrol"), EnrolURL: "/account/factors/enrol"},
		enrol, enrolAgain,
		ui.RecoveryCodes{Base: signedIn("/account/recovery-codes"), Account: "ana@example.com", Codes: Codes()},
	}
}

func signIn() []ui.Page {
	wrong := base("/signin?flow=flw_1")
	wrong.Errors = []ui.FieldError{ui.Wrong("", ui.ErrSignIn), ui.Wrong("identifier", ui.ErrIdentifierMissing), ui.Wrong("password", ui.ErrPasswordRequired)}
	code := base("/signin/factor?flow=flw_1")
	code.Errors = []ui.FieldError{ui.Wrong("code", ui.ErrCodeUsed)}
	recovery := base("/signin/recovery?flow=flw_1")
	recovery.Errors = []ui.FieldError{ui.Wrong("code", ui.ErrRecoveryWrong)}
	again := signedIn("/account/confirm")
	again.Errors = []ui.FieldError{ui.Wrong("password", ui.ErrPasswordWrong), ui.Wrong("code", ui.ErrCodeFormat)}
	wait := &ui.Throttle{Wait: 45 * time.Second}
	return []ui.Page{
		ui.SignIn{Base: base("/signin?flow=flw_1"), App: app(), SignupURL: "/signup?flow=flw_1"},
		ui.SignIn{Base: wrong, App: app(), Identifier: "ana@example.com", SignupURL: "/signup", Throttled: wait},
		ui.SignIn{Base: base("/signin"), Identifier: "ana@example.com", Again: true},
		ui.Factor{Base: base("/signin/factor?flow=flw_1"), App: app(), RecoveryURL: "/signin/recovery", RestartURL: "/signin"},
		ui.Factor{Base: code, RecoveryURL: "/signin/recovery", RestartURL: "/signin", Throttled: wait},
		ui.FactorRecovery{Base: base("/signin/recovery?flow=flw_1"), App: app(), FactorURL: "/signin/factor", RestartURL: "/signin"},
		ui.FactorRecovery{Base: recovery, FactorURL: "/signin/factor", RestartURL: "/signin", Throttled: wait},
		ui.Consent{Base: signedIn("/consent?flow=flw_1"), App: *app(), Groups: groups(), Name: "Ana María Delgado-Fuentes", Email: "ana@example.com", SwitchURL: "/signin", Offline: true, Remembered: true},
		ui.Consent{Base: base("/consent?flow=flw_1"), App: ui.App{Name: "Native"}, Groups: groups()[1:], Name: "Ana"},
		ui.LogoutConfirm{Base: signedIn("/logout"), App: app(), Name: "Ana María", Hidden: []ui.Hidden{{Name: "request", Value: "lgr_1"}}, StayURL: "/account"},
		ui.LogoutConfirm{Base: signedIn("/signout"), Name: "Ana María", StayURL: "/account"},
		ui.LoggedOut{Base: base(""), App: app(), ContinueURL: "com.example.app:/signed-out"},
		ui.LoggedOut{Base: base("/signedout")},
		ui.FormPost{Base: base(""), App: app(), Action: "https://portal.example/callback", Fields: []ui.Hidden{{Name: "code", Value: "eac_1"}, {Name: "state", Value: `"><script>`}}},
	}
}

func accountPages() []ui.Page {
	home := signedIn("/account")
	home.Notice = ui.Say(ui.NoticeSessionsEnded, "Count", 2)
	wrong := signedIn("/account/profile")
	wrong.Errors = []ui.FieldError{ui.Wrong("family_name", ui.ErrFamilyName), ui.Wrong("birth_year", ui.ErrBirthYear)}
	password := signedIn("/account/password")
	password.Errors = []ui.FieldError{ui.Wrong("current_password", ui.ErrPasswordWrong), ui.Wrong("new_password", ui.ErrPasswordCommon), ui.Wrong("", ui.ErrTooMany, "Wait", 3*time.Minute)}
	last := &ui.ActivityItem{Type: "session.started", At: At.Add(-26 * time.Hour), UserAgent: Phone, IP: "2001:db8::1"}
	row := ui.FactorRow{ID: "fac_1", AddedAt: At.Add(-90 * 24 * time.Hour), LastUsed: At}
	return []ui.Page{
		ui.AccountHome{Base: home, GivenName: "Ana María", Email: "ana@example.com", HasTOTP: true, RecoveryLeft: 9, SessionCount: 2, AppCount: 1, PasswordChanged: At, LastSignIn: last},
		ui.AccountHome{Base: signedIn("/account"), GivenName: "Bao", Email: "bao@example.com", SessionCount: 1},
		ui.Profile{Base: signedIn("/account/profile"), Email: "ana@example.com", PersonFields: person(), Username: "ana.delgado"},
		ui.Profile{Base: wrong, Email: "ana@example.com", PersonFields: person()},
		ui.ChangePassword{Base: signedIn("/account/password"), Username: "ana@example.com", EndOthers: true},
		ui.ChangePassword{Base: password, Username: "ana@example.com", Password: ui.PasswordAdvice{Strength: 4, Hint: ui.HintGood}, Throttled: &ui.Throttle{Wait: time.Minute}},
		ui.Factors{Base: signedIn("/account/factors")},
		ui.Factors{Base: signedIn("/account/factors"), Factors: []ui.FactorRow{row, {ID: "fac_2", AddedAt: At}}, RecoveryLeft: 3, RecoveryTotal: 10, RecoveryMadeAt: At},
		ui.Factors{Base: signedIn("/account/factors"), Factors: []ui.FactorRow{row}, RecoveryTotal: 10},
		ui.RemoveFactor{Base: signedIn("/account/factors/remove?id=fac_1"), Factor: row, Last: true},
		ui.RecoveryCodesRenew{Base: signedIn("/account/recovery-codes"), Left: 1, Total: 10},
		ui.Sessions{Base: signedIn("/account/sessions"), Sessions: []ui.SessionRow{
			{ID: "ses_1", UserAgent: Firefox, IP: "127.0.0.1", StartedAt: At.Add(-time.Hour), LastSeen: At, Current: true, TwoFactor: true},
			{ID: "ses_2", UserAgent: Phone, IP: "2001:db8:85a3::8a2e:370:7334", StartedAt: At.Add(-5 * time.Hour), LastSeen: At.Add(-2 * time.Hour)},
			{ID: "ses_3", UserAgent: "unheard-of", StartedAt: At, LastSeen: At},
		}},
		ui.ConnectedApps{Base: signedIn("/account/apps")},
		ui.ConnectedApps{Base: signedIn("/account/apps"), Apps: []ui.ConnectedApp{{ClientID: "portal", Name: "Case portal", Since: At, Groups: groups()}, {ClientID: "other", Name: "Other", Since: At, Groups: groups()[:1]}}},
		ui.Activity{Base: signedIn("/account/activity")},
		ui.Activity{Base: signedIn("/account/activity"), OlderURL: "/account/activity?before=12", Items: activity()},
	}
}

func activity() []ui.ActivityItem {
	var items []ui.ActivityItem
	for i, kind := range append(ui.ActivityTypes(), "never.heard_of") {
		items = append(items, ui.ActivityItem{Type: kind, Refused: i%5 == 4, At: At.Add(-time.Duration(i) * time.Hour), UserAgent: Firefox, IP: "127.0.0.1"})
	}
	items[1].App, items[2].UserAgent, items[3].IP = "Case portal", "", ""
	return items
}

func others() []ui.Page {
	pages := []ui.Page{
		ui.FlowExpired{Base: base(""), App: app(), RestartURL: "/authorize?again=1"},
		ui.FlowExpired{Base: base(""), App: app()},
		ui.FlowExpired{Base: base("")},
		ui.RateLimited{Base: base(""), Wait: 12 * time.Second, Support: "req_7f3k2m9x"},
		ui.Unavailable{Base: base(""), Wait: 2 * time.Second, Support: "req_7f3k2m9x"},
		ui.Unavailable{Base: base("")},
		ui.NotGovernment{Base: base("/not-government")},
		ui.Help{Base: signedIn("/help")},
		ui.Privacy{Base: base("/privacy")},
		ui.ErrorPage{Base: base(""), Status: 500, Support: "req_7f3k2m9x"},
		ui.ErrorPage{Base: base(""), Status: 400, Code: "redirect_uri_unregistered", Support: "req_7f3k2m9x", Developer: "redirect_uri https://portal.example/other is not registered for client portal: register it with `idp client update`", RetryURL: "/signin"},
		ui.ErrorPage{Base: base(""), Status: 418, Code: "never_heard_of"},
		ui.ErrorPage{Base: base(""), Status: 599},
	}
	for _, status := range []int{403, 404, 405, 409, 410, 413, 421} {
		pages = append(pages, ui.ErrorPage{Base: base(""), Status: status})
	}
	for _, code := range ui.FaultCodes() {
		pages = append(pages, ui.ErrorPage{Base: base(""), Status: 403, Code: code})
	}
	return pages
}

// Mails returns one sample of every mail.
func Mails() []ui.MailMessage {
	m := ui.MailBase{GivenName: "Ana María", Email: "ana@example.com", AccountURL: "https://id.example/account", HelpURL: "https://id.example/help"}
	where := ui.Where{At: At, UserAgent: Phone, IP: "2001:db8::1"}
	return []ui.MailMessage{
		ui.MailConfirmAddress{MailBase: m, LinkURL: "https://id.example/signup/link?token=eml_sample", Valid: 10 * time.Minute},
		ui.MailAlreadyHaveAccount{MailBase: m, SigninURL: "https://id.example/signin", Where: where},
		ui.MailPasswordChanged{MailBase: m, Where: where},
		ui.MailFactorAdded{MailBase: m, Where: where},
		ui.MailFactorRemoved{MailBase: m, Where: where},
		ui.MailRecoveryCodeUsed{MailBase: m, Where: where, Left: 1},
		ui.MailRecoveryCodesRenewed{MailBase: m, Where: where},
		ui.MailNewDeviceSignIn{MailBase: m, Where: where},
		ui.MailSuspiciousAttempts{MailBase: m, Where: where, Count: 7},
	}
}
