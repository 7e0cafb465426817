package flow_test

import (
	"slices"
	"testing"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/session"
)

var t0 = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// asked is an authorization request for openid, made at t0.
func asked(change ...func(*flow.Flow)) flow.Flow {
	f := flow.Flow{ID: "flw_1", Kind: flow.Authorization, StartedAt: t0, ExpiresAt: t0.Add(flow.Lifetime), Client: "portal", Want: flow.Want{Scopes: []string{"openid"}}}
	for _, c := range change {
		c(&f)
	}
	return f
}

func prompt(p ...string) func(*flow.Flow) { return func(f *flow.Flow) { f.Want.Prompts = p } }

func acr(v ...string) func(*flow.Flow) { return func(f *flow.Flow) { f.Want.ACR = v } }

func maxAge(d time.Duration) func(*flow.Flow) { return func(f *flow.Flow) { f.Want.MaxAge = &d } }

func scopes(s ...string) func(*flow.Flow) { return func(f *flow.Flow) { f.Want.Scopes = s } }

func only(acc string) func(*flow.Flow) { return func(f *flow.Flow) { f.Want.Account = acc } }

func subject(s string) func(*flow.Flow) { return func(f *flow.Flow) { f.Want.Subject = s } }

func known(s string) func(*flow.State) { return func(st *flow.State) { st.Subject = s } }

func neverRemember(f *flow.Flow) { f.Want.NeverRemember = true }

func needFactor(f *flow.Flow) { f.Want.NeedSecondFactor = true }

func visit(f *flow.Flow) { f.Kind, f.Client, f.Want.Scopes = flow.Visit, "", nil }

func denied(f *flow.Flow) { f.Denied = true }

func pending(f *flow.Flow) { f.Pending = &flow.Pending{Account: "acc_1", At: t0} }

func allowed(acc string, s ...string) func(*flow.Flow) {
	return func(f *flow.Flow) { f.Consent = &flow.Fresh{Account: acc, Scopes: s, At: t0} }
}

// signedIn is a person with a session of one factor that began an hour before t0 and was used since, who allowed the
// portal openid before.
func signedIn(change ...func(*flow.State)) flow.State {
	st := flow.State{
		Account:  account.Account{ID: "acc_1", Status: account.Active},
		Session:  session.Session{ID: "ses_1", Account: "acc_1", CreatedAt: t0.Add(-time.Hour), AuthTime: t0.Add(-time.Hour), LastSeen: t0, ACR: session.AAL1},
		Consents: []grant.Consent{{Account: "acc_1", Client: "portal", Scope: "openid", At: t0.Add(-time.Hour)}},
	}
	for _, c := range change {
		c(&st)
	}
	return st
}

func aal2(st *flow.State) { st.Session.ACR, st.HasFactor = session.AAL2, true }

func hasFactor(st *flow.State) { st.HasFactor = true }

func noConsent(st *flow.State) { st.Consents = nil }

func holdsPending(st *flow.State) { st.Pending = true }

func status(s account.Status) func(*flow.State) {
	return func(st *flow.State) { st.Account.Status = s }
}

// authAt moves the last sign-in to so long after the request came (negative: before it).
func authAt(after time.Duration) func(*flow.State) {
	return func(st *flow.State) { st.Session.AuthTime = t0.Add(after) }
}

func consented(acc, client string, s ...string) func(*flow.State) {
	return func(st *flow.State) {
		st.Consents = nil
		for _, scope := range s {
			st.Consents = append(st.Consents, grant.Consent{Account: acc, Client: client, Scope: scope})
		}
	}
}

var nobody flow.State

type decision struct {
	name  string
	flow  flow.Flow
	state flow.State
	step  flow.Step
	error string
}

func decide(t *testing.T, cases []decision) {
	t.Helper()
	for _, c := range cases {
		got := flow.Next(c.flow, c.state, t0.Add(time.Minute))
		if got.Step != c.step || got.Error != c.error || (got.Step == flow.Deny) != (got.Reason != "") {
			t.Errorf("%s: got %+v, want %s %s", c.name, got, c.step, c.error)
		}
	}
}

func TestNext_WhoMustSignIn(t *testing.T) {
	t.Parallel()
	ended := func(st *flow.State) { st.Session.EndedAt = t0 }
	idle := func(st *flow.State) { st.Session.LastSeen = t0.Add(time.Minute - session.IdleTimeout) }
	old := func(st *flow.State) { st.Session.CreatedAt = t0.Add(time.Minute - session.AbsoluteTimeout) }
	foreign := func(st *flow.State) { st.Account.ID = "acc_2" }
	decide(t, []decision{
		{"nobody", asked(), nobody, flow.SignIn, ""},
		{"nobody, prompt=none", asked(prompt("none")), nobody, flow.Deny, "login_required"},
		{"signed in and allowed", asked(), signedIn(), flow.Issue, ""},
		{"signed in and allowed, prompt=none", asked(prompt("none")), signedIn(), flow.Issue, ""},
		{"an ended session", asked(), signedIn(ended), flow.SignIn, ""},
		{"an ended session, prompt=none", asked(prompt("none")), signedIn(ended), flow.Deny, "login_required"},
		{"an idle session", asked(), signedIn(idle), flow.SignIn, ""},
		{"a session past its absolute end", asked(), signedIn(old), flow.SignIn, ""},
		{"a disabled account", asked(), signedIn(status(account.Disabled)), flow.SignIn, ""},
		{"a disabled account, prompt=none", asked(prompt("none")), signedIn(status(account.Disabled)), flow.Deny, "login_required"},
		{"a closed account", asked(), signedIn(status(account.Closed)), flow.SignIn, ""},
		{"a session of another account than the one read", asked(), signedIn(foreign), flow.SignIn, ""},
		{"a visit to an own page", asked(visit), signedIn(noConsent), flow.Issue, ""},
		{"a visit by nobody", asked(visit), nobody, flow.SignIn, ""},
	})
}

func TestNext_Prompt(t *testing.T) {
	t.Parallel()
	decide(t, []decision{
		{"login", asked(prompt("login")), signedIn(), flow.SignIn, ""},
		{"login, signed in since", asked(prompt("login")), signedIn(authAt(time.Second)), flow.Issue, ""},
		{"login, signed in at the same instant", asked(prompt("login")), signedIn(authAt(0)), flow.Issue, ""},
		{"login, signed in just before", asked(prompt("login")), signedIn(authAt(-1)), flow.SignIn, ""},
		{"select_account", asked(prompt("select_account")), signedIn(), flow.SignIn, ""},
		{"select_account, done", asked(prompt("select_account")), signedIn(authAt(time.Second)), flow.Issue, ""},
		{"consent, though remembered", asked(prompt("consent")), signedIn(), flow.Consent, ""},
		{"consent, given", asked(prompt("consent"), allowed("acc_1", "openid")), signedIn(), flow.Issue, ""},
		{"login and consent: sign in first", asked(prompt("login", "consent")), signedIn(), flow.SignIn, ""},
		{"login and consent: then consent", asked(prompt("login", "consent")), signedIn(authAt(1)), flow.Consent, ""},
		{"login and consent: then done", asked(prompt("login", "consent"), allowed("acc_1", "openid")), signedIn(authAt(1)), flow.Issue, ""},
		{"an unknown value is nothing", asked(prompt("create")), signedIn(), flow.Issue, ""},
	})
}

func TestNext_MaxAge(t *testing.T) {
	t.Parallel()
	decide(t, []decision{ // it is decided a minute after the request came
		{"recent enough", asked(maxAge(2 * time.Hour)), signedIn(), flow.Issue, ""},
		{"at the very limit", asked(maxAge(time.Hour + time.Minute)), signedIn(), flow.Issue, ""},
		{"too old", asked(maxAge(time.Hour)), signedIn(), flow.SignIn, ""},
		{"too old, prompt=none", asked(maxAge(time.Hour), prompt("none")), signedIn(), flow.Deny, "login_required"},
		{"zero is a new sign-in", asked(maxAge(0)), signedIn(authAt(-1)), flow.SignIn, ""},
		{"zero, done within the flow", asked(maxAge(0)), signedIn(authAt(time.Second)), flow.Issue, ""},
		{"shorter than the form takes to fill in, done within the flow", asked(maxAge(time.Second)), signedIn(authAt(time.Second)), flow.Issue, ""},
	})
}

func TestNext_SecondFactor(t *testing.T) {
	t.Parallel()
	decide(t, []decision{
		{"aal2 asked, proven", asked(acr(session.AAL2)), signedIn(aal2), flow.Issue, ""},
		{"aal2 asked, no factor enrolled", asked(acr(session.AAL2)), signedIn(), flow.Enrol, ""},
		{"aal2 asked, no factor enrolled, prompt=none", asked(acr(session.AAL2), prompt("none")), signedIn(), flow.Deny, "login_required"},
		{"aal1 preferred", asked(acr(session.AAL1, session.AAL2)), signedIn(), flow.Issue, ""},
		{"aal2 preferred", asked(acr(session.AAL2, session.AAL1)), signedIn(), flow.Enrol, ""},
		{"an unknown class is passed over", asked(acr("urn:other", session.AAL2)), signedIn(), flow.Enrol, ""},
		{"only unknown classes", asked(acr("urn:other")), signedIn(), flow.Issue, ""},
		{"the page insists", asked(needFactor, acr(session.AAL1)), signedIn(), flow.Enrol, ""},
		{"the page insists, proven", asked(visit, needFactor), signedIn(aal2), flow.Issue, ""},
		{"enrolment comes before consent", asked(acr(session.AAL2)), signedIn(noConsent), flow.Enrol, ""},
	})
}

func TestAttack_E07_ARequiredSecondFactorIsNotSkipped(t *testing.T) {
	t.Parallel()
	decide(t, []decision{
		{"a factor enrolled elsewhere since", asked(), signedIn(hasFactor), flow.SignIn, ""},
		{"the same, prompt=none", asked(prompt("none")), signedIn(hasFactor), flow.Deny, "login_required"},
		{"the same, signed in within the flow", asked(), signedIn(hasFactor, authAt(time.Second)), flow.SignIn, ""},
		{"the same, aal1 asked", asked(acr(session.AAL1)), signedIn(hasFactor), flow.SignIn, ""},
		{"password proven, factor to come", asked(pending), flow.State{Pending: true, HasFactor: true}, flow.Factor, ""},
		{"the same beside an older session", asked(pending), signedIn(holdsPending), flow.Factor, ""},
		{"the same with prompt=none", asked(pending, prompt("none")), flow.State{Pending: true, HasFactor: true}, flow.Deny, "login_required"},
		{"the sign-in cookie without a pending sign-in", asked(), flow.State{Pending: true}, flow.SignIn, ""},
		{"a pending sign-in of another browser", asked(pending), nobody, flow.SignIn, ""},
	})
}

func TestNext_TheAccountThatIsAskedFor(t *testing.T) {
	t.Parallel()
	decide(t, []decision{
		{"it is signed in", asked(only("acc_1")), signedIn(), flow.Issue, ""},
		{"nobody is", asked(only("acc_2")), nobody, flow.SignIn, ""},
		{"another is, from before", asked(only("acc_2")), signedIn(), flow.SignIn, ""},
		{"another is, prompt=none", asked(only("acc_2"), prompt("none")), signedIn(), flow.Deny, "login_required"},
		{"another signed in for this request", asked(only("acc_2")), signedIn(authAt(time.Second)), flow.Deny, "login_required"},
		{"whom the hint names is signed in", asked(subject("sub-1")), signedIn(known("sub-1")), flow.Issue, ""},
		{"the hint names somebody, nobody is there", asked(subject("sub-1")), nobody, flow.SignIn, ""},
		{"the hint names another", asked(subject("sub-2")), signedIn(known("sub-1")), flow.SignIn, ""},
		{"the hint names another, prompt=none", asked(subject("sub-2"), prompt("none")), signedIn(known("sub-1")), flow.Deny, "login_required"},
		{"the hint names another than who signed in for this request", asked(subject("sub-2")), signedIn(known("sub-1"), authAt(time.Second)), flow.Deny, "login_required"},
	})
}

func TestNext_Consent(t *testing.T) {
	t.Parallel()
	decide(t, []decision{
		{"none yet", asked(), signedIn(noConsent), flow.Consent, ""},
		{"none yet, prompt=none", asked(prompt("none")), signedIn(noConsent), flow.Deny, "consent_required"},
		{"one scope more", asked(scopes("openid", "email")), signedIn(), flow.Consent, ""},
		{"one scope less", asked(scopes("openid")), signedIn(consented("acc_1", "portal", "email", "openid")), flow.Issue, ""},
		{"another client's", asked(), signedIn(consented("acc_1", "other", "openid")), flow.Consent, ""},
		{"another account's", asked(), signedIn(consented("acc_2", "portal", "openid")), flow.Consent, ""},
		{"a scope that begins alike", asked(scopes("cases:read")), signedIn(consented("acc_1", "portal", "cases", "cases:*", "cases:read:all")), flow.Consent, ""},
		{"given in this flow", asked(allowed("acc_1", "openid")), signedIn(noConsent), flow.Issue, ""},
		{"given in this flow by somebody else", asked(allowed("acc_2", "openid")), signedIn(noConsent), flow.Consent, ""},
		{"given in this flow for less", asked(scopes("openid", "email"), allowed("acc_1", "openid")), signedIn(noConsent), flow.Consent, ""},
		{"refused", asked(denied), signedIn(), flow.Deny, "access_denied"},
		{"refused before anybody signed in", asked(denied), nobody, flow.Deny, "access_denied"},
		{"refused, prompt=none", asked(denied, prompt("none")), signedIn(), flow.Deny, "access_denied"},
	})
}

// Anybody on the device can claim such a redirect (RFC 8252 §8.6), so that a remembered consent proves nothing.
func TestNext_ConsentOfANativeClientIsNeverRemembered(t *testing.T) {
	t.Parallel()
	decide(t, []decision{
		{"remembered before", asked(neverRemember), signedIn(), flow.Consent, ""},
		{"remembered before, prompt=none", asked(neverRemember, prompt("none")), signedIn(), flow.Deny, "consent_required"},
		{"given in this flow", asked(neverRemember, allowed("acc_1", "openid")), signedIn(), flow.Issue, ""},
		{"given in this flow, prompt=none", asked(neverRemember, prompt("none"), allowed("acc_1", "openid")), signedIn(), flow.Issue, ""},
	})
}

// Whatever is asked and whoever is there: nothing is issued without a living session of an account in good standing that
// proves what was asked, prompt=none never shows a page, and doing what a step asks for leads on.
func TestNext_EveryCombination(t *testing.T) {
	t.Parallel()
	n := 0
	for _, f := range everyRequest() {
		for _, st := range everyState() {
			n++
			d := flow.Next(f, st, t0.Add(time.Minute))
			none := slices.Contains(f.Want.Prompts, "none")
			alive := st.Session.ID != "" && st.Session.Alive(t0.Add(time.Minute)) && st.Account.MaySignIn()
			switch {
			case d.Step == flow.Issue && (!alive || f.Denied || (st.HasFactor && st.Session.ACR != session.AAL2)):
				t.Fatalf("issued to %+v for %+v", st, f)
			case d.Step == flow.Issue && f.Want.NeedSecondFactor && st.Session.ACR != session.AAL2:
				t.Fatalf("issued without a second factor to %+v for %+v", st, f)
			case d.Step == flow.Issue && f.Want.NeverRemember && f.Consent == nil:
				t.Fatalf("issued without a fresh consent to %+v for %+v", st, f)
			case none && d.Step != flow.Issue && d.Step != flow.Deny:
				t.Fatalf("prompt=none led to %s for %+v, %+v", d.Step, f, st)
			case d.Step == flow.SignIn && !endsBySigningIn(f, st):
				t.Fatalf("signing in does not end: %+v, %+v", f, st)
			}
		}
	}
	if n < 5000 {
		t.Fatalf("only %d combinations", n)
	}
}

// endsBySigningIn does what the sign-in page does and asks again.
func endsBySigningIn(f flow.Flow, st flow.State) bool {
	now := t0.Add(2 * time.Minute)
	done := st
	done.Account = account.Account{ID: "acc_1", Status: account.Active}
	done.Session = session.Session{ID: "ses_2", Account: "acc_1", CreatedAt: now, AuthTime: now, LastSeen: now, ACR: session.AAL1}
	if st.HasFactor {
		done.Session.ACR = session.AAL2
	}
	return flow.Next(f, done, now).Step != flow.SignIn
}

func everyRequest() (out []flow.Flow) {
	same := func(*flow.Flow) {}
	for _, p := range [][]string{nil, {"none"}, {"login"}, {"consent"}, {"select_account"}, {"login", "consent"}} {
		for _, a := range []func(*flow.Flow){same, acr(session.AAL1), acr(session.AAL2), needFactor} {
			for _, age := range []func(*flow.Flow){same, maxAge(0), maxAge(time.Minute), maxAge(24 * time.Hour)} {
				for _, c := range []func(*flow.Flow){same, neverRemember, allowed("acc_1", "openid"), denied} {
					out = append(out, asked(prompt(p...), a, age, c))
				}
			}
		}
	}
	return out
}

func everyState() []flow.State {
	return []flow.State{
		nobody, signedIn(), signedIn(aal2), signedIn(hasFactor), signedIn(noConsent), signedIn(aal2, noConsent),
		signedIn(status(account.Disabled)), signedIn(authAt(time.Second)), signedIn(aal2, authAt(time.Second)), signedIn(hasFactor, authAt(time.Second)),
		signedIn(func(st *flow.State) { st.Session.EndedAt = t0 }), signedIn(func(st *flow.State) { st.Session.LastSeen = t0.Add(-time.Hour) }),
		signedIn(consented("acc_2", "portal", "openid")), signedIn(consented("acc_1", "other", "openid")),
	}
}
