package pages

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

// signin asks for identifier and password.
func (p *Pages) signin(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Get("flow") == "" {
		return p.visit(w, r, "/account", flow.Want{})
	}
	s, err := p.load(w, r)
	if err != nil {
		return err
	}
	switch flow.Next(s.Flow, s.State, p.Clock.Now()).Step {
	case flow.SignIn:
	case flow.Consent: // "use another account" leads here from the consent page
		if r.URL.Query().Get("switch") == "" {
			return p.back(w, s.Flow)
		}
	case flow.Factor: // "start over" leads here from the second factor
		if r.URL.Query().Get("switch") == "" {
			return p.back(w, s.Flow)
		}
		s.Pending = nil
		if err := p.save(r.Context(), s.Flow); err != nil {
			return err
		}
		return see(w, path("/signin", s.ID))
	default:
		return p.back(w, s.Flow)
	}
	return p.showSignin(w, r, s, http.StatusOK, s.Want.LoginHint, nil)
}

func (p *Pages) showSignin(w http.ResponseWriter, r *http.Request, s step, status int, identifier string, wait *ui.Throttle, errs ...ui.FieldError) error {
	b := p.base(w, r, "signin "+s.ID)
	b.Errors = errs
	page := ui.SignIn{Base: b, App: s.app(), Identifier: identifier, SignupURL: path("/signup", s.ID), Throttled: wait, Again: s.State.Session.ID != ""}
	return p.show(w, r, p.lang(r, &s.Flow), status, page)
}

// signinPassword checks a password. Unknown names take the same way and the same time as wrong passwords.
func (p *Pages) signinPassword(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	s, err := p.load(w, r)
	if err != nil {
		return err
	}
	identifier, pw := strings.TrimSpace(form.Get("identifier")), form.Get("password")
	if err := p.Edge.CheckCSRF(r, "signin "+s.ID); err != nil {
		if flow.Next(s.Flow, s.State, p.Clock.Now()).Step != flow.SignIn {
			return p.back(w, s.Flow) // signed in meanwhile, in another tab
		}
		return p.showSignin(w, r, s, http.StatusForbidden, identifier, nil, ui.Wrong("", ui.ErrFormExpired))
	}
	var missing []ui.FieldError
	if identifier == "" {
		missing = append(missing, ui.Wrong("identifier", ui.ErrIdentifierMissing))
	}
	if pw == "" {
		missing = append(missing, ui.Wrong("password", ui.ErrPasswordRequired))
	}
	if missing != nil {
		return p.showSignin(w, r, s, http.StatusUnprocessableEntity, identifier, nil, missing...)
	}
	err = p.tryPassword(w, r, s, identifier, pw)
	if _, moved := unit.ConflictIn[factor.SetPassword](err); moved { // changed, or stored anew by another sign-in: look again
		err = p.tryPassword(w, r, s, identifier, pw)
	}
	switch wait := throttled(err); {
	case wait != nil:
		w.Header().Set("Retry-After", retryAfter(wait.Wait))
		return p.showSignin(w, r, s, http.StatusTooManyRequests, identifier, wait, ui.Wrong("", ui.ErrTooMany, "Wait", wait.Wait))
	case errors.Is(err, errWrong):
		return p.showSignin(w, r, s, http.StatusUnprocessableEntity, identifier, nil, ui.Wrong("", ui.ErrSignIn))
	case err != nil:
		return p.lostRace(w, s, err)
	}
	return p.back(w, s.Flow)
}

// tryPassword verifies a password and takes the flow to what comes after it. Errors: errWrong, those of throttle and
// hashing, and conflicts: one in factor.SetPassword says that the password is no longer the one that was verified.
func (p *Pages) tryPassword(w http.ResponseWriter, r *http.Request, s step, identifier, pw string) error {
	a, guess, kept, err := p.checkPassword(r, identifier, pw)
	if err != nil {
		return err
	}
	return p.passwordProven(w, r, s, a, kept, guess.Succeeded())
}

// errWrong stands for a wrong password, an unknown name and an account that may not sign in alike.
var errWrong = errors.New("identifier or password is wrong")

// candidate finds the account that a person means. There may be none: the counters and the hash then run on the name.
func (p *Pages) candidate(r *http.Request, identifier string) (a account.Account, counted string, err error) {
	canonical, err := account.Canonical(identifier)
	if err != nil {
		return a, "malformed " + identifier, nil
	}
	a, err = p.Store.AccountByIdentifier(r.Context(), canonical)
	if errors.Is(err, account.ErrNotFound) {
		return account.Account{}, "name " + canonical, nil
	}
	return a, a.ID, err
}

// checkPassword verifies a password within the limits. kept goes with what follows from it: the condition that the
// password is still the same, and a record of today's cost in place of an old one. Errors: errWrong, and those of
// throttle and hashing.
func (p *Pages) checkPassword(r *http.Request, identifier, pw string) (a account.Account, g *throttle.Guess, kept factor.SetPassword, err error) {
	a, counted, err := p.candidate(r, identifier)
	if err != nil {
		return a, nil, kept, err
	}
	if kept, err = p.keep(r.Context(), a.ID); err != nil {
		return a, nil, kept, err
	}
	g, old, err := p.guessPassword(r, a, kept.Old, counted, pw)
	if err != nil {
		return a, nil, kept, err
	}
	if old {
		if fresh, busy := p.Passwords.Hash(r.Context(), pw); busy == nil { // else the next sign-in will do it
			kept.Record = fresh
		}
	}
	return a, g, kept, nil
}

// keep leaves a password as it is. As a write it holds what follows from a password to the condition that nobody changed
// it meanwhile.
func (p *Pages) keep(ctx context.Context, accountID string) (factor.SetPassword, error) {
	record, at, err := p.Store.Password(ctx, accountID)
	return factor.SetPassword{Account: accountID, Old: record, Record: record, At: at}, err
}

// guessPassword reserves a guess, verifies, and records a failure. What is too long for any password is no guess.
func (p *Pages) guessPassword(r *http.Request, a account.Account, record, counted, pw string) (g *throttle.Guess, stale bool, err error) {
	if len(pw) > factor.MaxPassword {
		return nil, false, errWrong
	}
	ctx, info := r.Context(), web.Info(r.Context())
	known, err := p.knownDevice(r, a.ID)
	if err != nil {
		return nil, false, err
	}
	g, err = p.Limiter.Reserve(ctx, throttle.Subject{Class: throttle.Password, Account: counted, Nobody: a.ID == "", IP: info.IP, Known: known})
	if throttled(err) != nil {
		return nil, false, p.unheard(r, a, "signin.password", err)
	}
	if err != nil {
		return nil, false, err
	}
	ok, stale, err := p.Passwords.Verify(ctx, record, pw)
	if err != nil {
		return nil, false, errors.Join(err, g.Undo(ctx))
	}
	switch {
	case !ok:
		return nil, false, p.wrongPassword(r, a, g)
	case !a.MaySignIn():
		return nil, false, p.refused(r, a, "signin.password", "account_"+string(a.Status), errWrong)
	}
	return g, stale, nil
}

// wrongPassword records a failed guess, and warns the owner of an account at the tenth in a row.
func (p *Pages) wrongPassword(r *http.Request, a account.Account, g *throttle.Guess) error {
	reason := "wrong_password"
	if a.ID == "" {
		reason = "unknown_name"
	}
	e := p.event(r, "signin.password", audit.Refused, reason)
	e.Account = a.ID
	return p.failed(r, a, e, g.Failures == warnPasswords, g.Failures, errWrong)
}

// After how many failures in a row the owner of an account is told. A wrong second factor weighs more: the password
// before it was right.
const (
	warnPasswords = 10
	warnFactors   = 5
)

// failed records a failed guess and returns err. With warn the owner gets a mail; nobody's is made in vain, so that the
// time does not tell whether there is an account.
func (p *Pages) failed(r *http.Request, a account.Account, e audit.Event, warn bool, count int64, err error) error {
	u := unit.Unit{Event: e}
	if warn {
		q, bad := p.mail(a, ui.MailSuspiciousAttempts{MailBase: p.mailBase(a), Where: p.where(r), Count: int(count)})
		if bad != nil {
			return bad
		}
		if a.ID != "" {
			u.Writes = append(u.Writes, q)
			defer p.Wake()
		}
	}
	if bad := p.Commit.Commit(r.Context(), u); bad != nil {
		return bad
	}
	return err
}

// refused records a refused attempt and returns err.
func (p *Pages) refused(r *http.Request, a account.Account, kind, reason string, err error) error {
	e := p.event(r, kind, audit.Refused, reason)
	e.Account = a.ID
	if bad := p.Commit.Commit(r.Context(), unit.Unit{Event: e}); bad != nil {
		return bad
	}
	return err
}

// unheard counts an attempt that was not looked at, and returns err.
func (p *Pages) unheard(r *http.Request, a account.Account, kind string, err error) error {
	e := p.event(r, kind, audit.Refused, "throttled")
	e.Account = a.ID
	if bad := p.Strangers.Refused(r.Context(), e); bad != nil {
		return bad
	}
	return err
}

// passwordProven goes on after a right password: to the second factor if there is one, else into a session.
func (p *Pages) passwordProven(w http.ResponseWriter, r *http.Request, s step, a account.Account, writes ...unit.Write) error {
	ctx := r.Context()
	second, err := p.Store.HasSecondFactor(ctx, a.ID)
	if err != nil {
		return err
	}
	e := p.event(r, "signin.password", audit.Allowed, "")
	e.Flow, e.Txn, e.Client = s.ID, s.Txn, s.Flow.Client
	if !second {
		b, err := p.begin(r, a, byPassword)
		if err != nil {
			return err
		}
		if err := p.commitSession(w, r, a, b, false, e, writes...); err != nil {
			return err
		}
		s.Known = true
		_ = p.save(ctx, s.Flow) // the session is there; a flow that is lost meanwhile begins anew
		return nil
	}
	e.Actor, e.Account = a.ID, a.ID
	if err := p.Commit.Commit(ctx, unit.Unit{Writes: writes, Event: e}); err != nil {
		return err
	}
	token := ident.NewToken(ident.SessionCookie)
	if err := p.pend(ctx, s.Flow, flow.Pending{Cookie: ident.Hash(token), Account: a.ID, At: p.Clock.Now(), AMR: []string{session.AMRPassword}}); err != nil {
		return err
	}
	p.Edge.Cookies.SetSignin(w, token, flow.PendingLifetime)
	return nil
}

// pendTries is how often a flow that moves on meanwhile is read again.
const pendTries = 8

// pend notes that a password was proven. The last of two tabs wins, as its cookie is the one that the browser keeps.
func (p *Pages) pend(ctx context.Context, f flow.Flow, pending flow.Pending) (err error) {
	for range pendTries {
		f.Pending, f.Known = &pending, true
		if err = p.Flows.PutFlow(ctx, f); !errors.Is(err, flow.ErrStale) {
			return err
		}
		if f, err = p.Flows.GetFlow(ctx, f.ID); err != nil {
			return err
		}
	}
	return flow.ErrStale
}

// lostRace sends the browser to the dispatcher when another tab was first; the flow is where that tab left it.
func (p *Pages) lostRace(w http.ResponseWriter, s step, err error) error {
	if unit.IsConflict(err) {
		return p.back(w, s.Flow)
	}
	return err
}
