package flow

import (
	"slices"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/session"
)

// Step is what a flow needs next.
type Step string

// The steps.
const (
	SignIn  Step = "signin"  // identifier and password
	Factor  Step = "factor"  // second factor, after the password
	Enrol   Step = "enrol"   // the request needs a second factor and the account has none yet
	Consent Step = "consent" //
	Deny    Step = "deny"    // answer the client with Decision.Error
	Issue   Step = "issue"   // all is there: spend the flow and answer
)

// Decision is the outcome of Next.
type Decision struct {
	Step   Step
	Error  string // Deny: error code of OpenID Connect Core §3.1.2.6 or RFC 6749 §4.1.2.1
	Reason string // Deny: error_description
}

// State is what is known about the person in front of the browser. Zero values mean: nobody.
type State struct {
	Account   account.Account // of the session
	Session   session.Session // of the browser's session cookie
	Pending   bool            // the browser holds the cookie of Flow.Pending
	HasFactor bool            // Account, or with Pending its account, has a second factor enrolled
	Consents  []grant.Consent // of Account for the flow's client
	Subject   string          // what the flow's client calls Account; there when the flow asks for a subject
}

// Next decides what f needs, given who is there. It reads nothing and changes nothing.
func Next(f Flow, st State, now time.Time) Decision {
	if f.Denied {
		return deny("access_denied", "the person did not allow it")
	}
	none := slices.Contains(f.Want.Prompts, "none")
	if st.Pending && f.Pending != nil && !none {
		return Decision{Step: Factor}
	}
	if why := f.mustSignIn(st, now); why != "" {
		if none {
			return deny("login_required", why)
		}
		if f.wrongAccount(st, now) {
			return deny("login_required", "another account signed in than the one asked for")
		}
		return Decision{Step: SignIn}
	}
	if f.wantsSecondFactor() && !st.Session.Satisfies(session.AAL2) {
		return f.raise(st, none)
	}
	if f.Kind == Authorization && f.mustConsent(st) {
		if none {
			return deny("consent_required", "the person has not allowed this yet")
		}
		return Decision{Step: Consent}
	}
	return Decision{Step: Issue}
}

// raise leads to a second factor. A session without one belongs to an account that had none when it signed in.
func (f Flow) raise(st State, none bool) Decision {
	switch {
	case none:
		return deny("login_required", "the request asks for a second factor")
	case st.HasFactor:
		return Decision{Step: SignIn} // password and factor together: a sign-in is never raised on an old password
	default:
		return Decision{Step: Enrol}
	}
}

// mustSignIn says why the person has to sign in, or "".
func (f Flow) mustSignIn(st State, now time.Time) string {
	s := st.Session
	inFlow := !s.AuthTime.Before(f.StartedAt)
	switch {
	case s.ID == "" || !s.Alive(now):
		return "nobody is signed in"
	case !st.Account.MaySignIn() || st.Account.ID != s.Account:
		return "the account may not sign in"
	case f.wantsAnother(st):
		return "another account is signed in than the one asked for"
	case st.HasFactor && s.ACR != session.AAL2:
		return "the account has a second factor that this session never proved"
	case inFlow:
		return ""
	case slices.Contains(f.Want.Prompts, "login"), slices.Contains(f.Want.Prompts, "select_account"):
		return "the request asks for a new sign-in"
	case f.Want.MaxAge != nil && now.Sub(s.AuthTime) > *f.Want.MaxAge, f.Want.MaxAge != nil && *f.Want.MaxAge == 0:
		return "the last sign-in is too long ago"
	}
	return ""
}

// wrongAccount reports whether the person signed in within this flow, but as somebody else than id_token_hint names.
// Asking again would never end.
func (f Flow) wrongAccount(st State, now time.Time) bool {
	return f.wantsAnother(st) && st.Session.ID != "" && st.Session.Alive(now) && !st.Session.AuthTime.Before(f.StartedAt)
}

// wantsAnother reports whether the request is about another person than the one who is there. An id_token_hint names a
// subject, which is a one-way derivation: it can only be compared with whoever is there.
func (f Flow) wantsAnother(st State) bool {
	return (f.Want.Account != "" && f.Want.Account != st.Session.Account) || (f.Want.Subject != "" && f.Want.Subject != st.Subject)
}

// wantsSecondFactor reports whether the first class of acr_values that we know is the second.
func (f Flow) wantsSecondFactor() bool {
	if f.Want.NeedSecondFactor {
		return true
	}
	for _, acr := range f.Want.ACR {
		switch acr {
		case session.AAL2:
			return true
		case session.AAL1:
			return false
		}
	}
	return false
}

// mustConsent reports whether the person still has to allow what is asked.
func (f Flow) mustConsent(st State) bool {
	if c := f.Consent; c != nil && c.Account == st.Account.ID && covers(c.Scopes, f.Want.Scopes) {
		return false
	}
	if f.Want.NeverRemember || slices.Contains(f.Want.Prompts, "consent") {
		return true
	}
	var remembered []string
	for _, c := range st.Consents {
		if c.Account == st.Account.ID && c.Client == f.Client {
			remembered = append(remembered, c.Scope)
		}
	}
	return !covers(remembered, f.Want.Scopes)
}

func covers(have, want []string) bool {
	return !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(have, s) })
}

func deny(code, why string) Decision { return Decision{Step: Deny, Error: code, Reason: why} }
