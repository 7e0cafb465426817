package ui

// SignIn asks for identifier and password. Fields: identifier, password.
type SignIn struct {
	Base
	App        *App // what one signs in to; nil: the account page
	Identifier string
	SignupURL  string
	Throttled  *Throttle // too many failures: says when to try again
	Again      bool      // signed in already, but the app wants a fresh sign-in
}

// Factor asks for a one-time code of the authenticator app. Fields: code.
type Factor struct {
	Base
	App         *App
	RecoveryURL string // to FactorRecovery
	RestartURL  string // sign in as somebody else
	Throttled   *Throttle
}

// FactorRecovery asks for a recovery code. Fields: code.
type FactorRecovery struct {
	Base
	App        *App
	FactorURL  string // back to Factor
	RestartURL string
	Throttled  *Throttle
}

// Consent asks whether an app may do what it asks for. Buttons: decision=allow, decision=deny.
type Consent struct {
	Base
	App       App
	Groups    []ScopeGroup
	Name      string // of the person, and their address: so that the wrong account is noticed
	Email     string
	SwitchURL string // sign in as somebody else
	Offline   bool   // offline_access is among the scopes
	// Remembered says whether the answer is kept; it never is for native apps on unproven redirects.
	Remembered bool
}

// LogoutConfirm asks before signing out. Button: decision=signout (stay: link to StayURL).
type LogoutConfirm struct {
	Base
	App     *App // which app asked for it; nil: the person did
	Name    string
	Hidden  []Hidden // what the endpoint needs back
	StayURL string
}

// LoggedOut says that the session has ended.
type LoggedOut struct {
	Base
	App         *App
	ContinueURL string // to the app, if it registered where to
}

// FormPost carries an authorization response to the client (OAuth 2.0 Form Post Response Mode): a form with a visible
// button, submitted by SubmitScript where scripts run. Its CSP needs script-src 'self' and form-action of Action.
type FormPost struct {
	Base
	App    *App
	Action string // redirect URI: http, https only
	Fields []Hidden
}

// Template implements Page.
func (SignIn) Template() string         { return "signin" }
func (Factor) Template() string         { return "factor" }
func (FactorRecovery) Template() string { return "factor_recovery" }
func (Consent) Template() string        { return "consent" }
func (LogoutConfirm) Template() string  { return "logout_confirm" }
func (LoggedOut) Template() string      { return "logged_out" }
func (FormPost) Template() string       { return "form_post" }
