package ui

import "time"

// Landing is the front page for somebody who is not signed in.
type Landing struct{ Base }

// Home shows every case of the person, the most pressing first.
type Home struct {
	Base
	Next    *Appointment // the first of all appointments that are ahead
	Cases   []Case
	MoreURL string // the next page of cases; empty: these are all
}

// CasePage shows one case.
type CasePage struct {
	Base
	Case   Case
	Events []Event // newest first
}

// Case is a case in the reader's language.
type Case struct {
	ID          string
	Receipt     string
	FormCode    string
	FormTitle   string
	Status      string
	Description string
	Since       time.Time
	Stages      []Stage
	Actor       string // you, agency, post, nobody
	ActorTitle  string
	What        string    // what happens next
	Until       time.Time // zero: no day
	Deadline    bool      // Until is a deadline; else silence is usual until then
	SubmittedOn time.Time
	UpdatedAt   time.Time
	Next        *Appointment
	Ahead       []Appointment
	Past        []Appointment
}

// Step returns the number of the current stage, from 1; 0 where none is current.
func (c Case) Step() int {
	for i, s := range c.Stages {
		if s.State == "current" {
			return i + 1
		}
	}
	return 0
}

// StepIndex is Step from 0, for templates.
func (c Case) StepIndex() int { return max(0, c.Step()-1) }

// Stage is one step of the indicator.
type Stage struct {
	Title string
	State string // complete, current, upcoming
}

// Appointment is an appointment in the reader's language. StartsAt carries the offset of the place.
type Appointment struct {
	CaseID   string
	Form     string
	Title    string
	Bring    string
	State    string // scheduled, completed, missed, cancelled
	StartsAt time.Time
	Place    string
	Address  string
}

// Event is something that happened, in the reader's language.
type Event struct {
	Title       string
	Description string
	Class       string // decision, processing, housekeeping
	At          time.Time
}

// Claim asks for receipt number and code of a paper notice.
type Claim struct {
	Base
	Receipt string
	Code    string
}

// ClaimReview shows what will be sent, after the person proved who they are.
type ClaimReview struct {
	Base
	Receipt string
	Code    string
}

// SignOut asks whether to sign out, for those who come by a link.
type SignOut struct{ Base }

// SignedOut says that the session is over.
type SignedOut struct {
	Base
	// Everywhere: the issuer's session is over too. Else it may live on, and IssuerURL is where to look.
	Everywhere bool
	IssuerURL  string
}

// SessionEnded says that the person has to sign in to see a page, and offers that.
type SessionEnded struct {
	Base
	Was       bool // there was a session, and it ended
	Revoked   bool // before its time: at the issuer somebody signed out, withdrew the permission or changed the account
	SignInURL string
}

// SignInProblem says why a sign-in did not come about. Code is a public fault code.
type SignInProblem struct {
	Base
	Code     string
	RetryURL string
	Support  string
}

// ErrorPage says what happened and what to do. Code is the public code of a fault: the catalogue may have particular
// words for it ("fault.<code>.title", ".text"), else those of the status are shown. Nothing unknown is ever printed.
type ErrorPage struct {
	Base
	Status  int
	Code    string
	Support string // request id that finds the log line
	HomeURL string
}

// Unavailable is the page of 503.
type Unavailable struct {
	Base
	Wait     time.Duration // zero: say "a few minutes"
	RetryURL string        // empty: the page could not be asked for again safely
	Support  string
	Leaving  bool // it was a sign-out, of which nobody can say whether it was done
}

// Help answers what people ask first.
type Help struct{ Base }

// Privacy says what is kept, why, and who sees it.
type Privacy struct{ Base }

// NotGovernment states in full that this is not a government website.
type NotGovernment struct{ Base }

// Template implements Page.
func (Landing) Template() string       { return "landing" }
func (Home) Template() string          { return "home" }
func (CasePage) Template() string      { return "case" }
func (Claim) Template() string         { return "claim" }
func (ClaimReview) Template() string   { return "claim_review" }
func (SignOut) Template() string       { return "signout" }
func (SignedOut) Template() string     { return "signed_out" }
func (SessionEnded) Template() string  { return "session_ended" }
func (SignInProblem) Template() string { return "signin_problem" }
func (ErrorPage) Template() string     { return "error" }
func (Unavailable) Template() string   { return "unavailable" }
func (Help) Template() string          { return "help" }
func (Privacy) Template() string       { return "privacy" }
func (NotGovernment) Template() string { return "not_government" }
