package ui

import "time"

// ErrorPage says what happened and what to do. Code is the public code of a fault: the catalogue may have particular
// words for it ("fault.<code>.title", ".text"), else those of the status are shown. Nothing unknown is ever printed.
type ErrorPage struct {
	Base
	Status  int    // HTTP status: 400, 403, 404, 405, 409, 410, 413, 415, 421, 500 …
	Code    string // public fault code; may be empty
	Support string // request id that finds the log line
	// Developer is plain English for whoever registered the app, e.g. why a redirect URI was refused. Shown folded.
	Developer string
	RetryURL  string // empty: no such button
}

// FlowExpired says that a pending sign-in is over, with a way forward.
type FlowExpired struct {
	Base
	App        *App
	RestartURL string // to begin anew; empty: "go back to the app"
}

// RateLimited is the page of 429.
type RateLimited struct {
	Base
	Wait    time.Duration
	Support string
}

// Unavailable is the page of 503.
type Unavailable struct {
	Base
	Wait    time.Duration // zero: say "a few minutes"
	Support string
}

// NotGovernment states in full that this is not a government website.
type NotGovernment struct{ Base }

// Help answers what people ask first.
type Help struct{ Base }

// Privacy says what is kept, why, and who sees it.
type Privacy struct{ Base }

// Template implements Page.
func (ErrorPage) Template() string     { return "error" }
func (FlowExpired) Template() string   { return "flow_expired" }
func (RateLimited) Template() string   { return "rate_limited" }
func (Unavailable) Template() string   { return "unavailable" }
func (NotGovernment) Template() string { return "not_government" }
func (Help) Template() string          { return "help" }
func (Privacy) Template() string       { return "privacy" }
