package ui

import "time"

// AccountHome is the overview.
type AccountHome struct {
	Base
	GivenName       string
	Email           string
	HasTOTP         bool
	RecoveryLeft    int
	SessionCount    int
	AppCount        int
	PasswordChanged time.Time
	LastSignIn      *ActivityItem // the one before this
}

// Profile edits the particulars. Fields as in SignupDetails, without user name and password; hidden: version.
type Profile struct {
	Base
	Email string // shown only
	PersonFields
	Username string // shown only
	Version  int64  // of the particulars that the form shows
}

// ChangePassword takes the old and a new one. Fields: current_password, new_password, end_others (checkbox "1").
type ChangePassword struct {
	Base
	Username  string // e-mail address, for password managers
	EndOthers bool
	Password  PasswordAdvice
	Throttled *Throttle
}

// Factors lists the second factors. Remove links go to RemoveFactor's page: /account/factors/remove?id=ID.
type Factors struct {
	Base
	Factors        []FactorRow
	RecoveryLeft   int
	RecoveryTotal  int
	RecoveryMadeAt time.Time
}

// FactorRow is one enrolled second factor.
type FactorRow struct {
	ID       string
	AddedAt  time.Time
	LastUsed time.Time // zero: never
}

// RemoveFactor asks before a factor goes. Hidden: id. The button posts to Here.
type RemoveFactor struct {
	Base
	Factor FactorRow
	Last   bool // the account falls back to the password alone
}

// RecoveryCodesRenew asks before the old codes die. The button posts to Here.
type RecoveryCodesRenew struct {
	Base
	Left  int
	Total int
}

// Sessions lists where one is signed in. Forms post to /account/sessions/end: id=ID, or all=others, or all=everywhere.
type Sessions struct {
	Base
	Sessions []SessionRow
}

// SessionRow is one browser session.
type SessionRow struct {
	ID        string
	UserAgent string // shown as browser and system
	IP        string
	StartedAt time.Time
	LastSeen  time.Time
	Current   bool
	TwoFactor bool
}

// ConnectedApps lists what the person allowed. Forms post to /account/apps/withdraw: client_id=ID.
type ConnectedApps struct {
	Base
	Apps []ConnectedApp
}

// ConnectedApp is one relying party with what it was allowed.
type ConnectedApp struct {
	ClientID string
	Name     string
	Since    time.Time
	Groups   []ScopeGroup
}

// Activity lists recent events of the account, newest first.
type Activity struct {
	Base
	Items    []ActivityItem
	OlderURL string // empty: no more
}

// ActivityItem is one event. Type and Refused choose the words (ActivityTypes lists what is known; others are shown as
// "account.changed").
type ActivityItem struct {
	Type      string // of the audit event, e.g. "signin.password"
	Refused   bool
	At        time.Time
	App       string // name of the client, if one took part
	UserAgent string
	IP        string
}

// Template implements Page.
func (AccountHome) Template() string        { return "account_home" }
func (Profile) Template() string            { return "profile" }
func (ChangePassword) Template() string     { return "change_password" }
func (Factors) Template() string            { return "factors" }
func (RemoveFactor) Template() string       { return "remove_factor" }
func (RecoveryCodesRenew) Template() string { return "recovery_codes_renew" }
func (Sessions) Template() string           { return "sessions" }
func (ConnectedApps) Template() string      { return "connected_apps" }
func (Activity) Template() string           { return "activity" }
