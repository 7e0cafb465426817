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
	a, guess, stale, err := p.checkPassword(r, identifier, pw)
	switch wait := throttled(err); {
	case wait != nil:
		w.Header().Set("Retry-After", retryAfter(wait.Wait))
		return p.showSignin(w, r, s, http.StatusTooManyRequests, identifier, wait, ui.Wrong("", ui.ErrTooMany, "Wait", wait.Wait))
	case errors.Is(err, errWrong):
		return p.showSignin(w, r, s, http.StatusUnprocessableEntity, identifier, nil, ui.Wrong("", ui.ErrSignIn))
	case err != nil:
		return err
	}
	return p.passwordProven(w, r, s, a, append(stale, guess.Succeeded()))
}

// errWrong stands for a wrong password, an unknown name and an account that may not sign in alike.
var errWrong = errors.New("identifier or password is wrong")

// candidate finds the account that a person means. There may be none: the counters and the hash then run on the name.
func (p *Pages) candidate(r *http.Request, identifier string) (a account.Account, record, counted string, err error) {
	canonical, err := account.Canonical(identifier)
	if err != nil {
		return a, "", "malformed", nil
	}
	a, err = p.Store.AccountByIdentifier(r.Context(), canonical)
	if errors.Is(err, account.ErrNotFound) {
		return account.Account{}, "", "name " + canonical, nil
	}
	if err != nil {
		return a, "", "", err
	}
	record, _, err = p.Store.Password(r.Context(), a.ID)
	return a, record, a.ID, err
}

// checkPassword verifies a password within the limits. It returns writes that go with the success: a record of today's
// cost in place of an old one. Errors: errWrong, and those of throttle and hashing.
func (p *Pages) checkPassword(r *http.Request, identifier, pw string) (a account.Account, g *throttle.Guess, stale []unit.Write, err error) {
	a, record, counted, err := p.candidate(r, identifier)
	if err != nil {
		return a, nil, nil, err
	}
	if len(pw) > factor.MaxPassword {
		return a, nil, nil, errWrong
	}
	g, old, err := p.guessPassword(r, a, record, counted, pw)
	if err != nil {
		return a, nil, nil, err
	}
	if old {
		if fresh, err := p.rehash(r.Context(), a.ID, record, pw); err == nil {
			stale = append(stale, fresh)
		}
	}
	return a, g, stale, nil
}

// guessPassword reserves a guess, verifies, and records a failure.
func (p *Pages) guessPassword(r *http.Request, a account.Account, record, counted, pw string) (g *throttle.Guess, stale bool, err error) {
	ctx, info := r.Context(), web.Info(r.Context())
	known, err := p.knownDevice(r, a.ID)
	if err != nil {
		return nil, false, err
	}
	g, err = p.Limiter.Reserve(ctx, throttle.Subject{Class: throttle.Password, Account: counted, IP: info.IP, Known: known})
	if throttled(err) != nil {
		return nil, false, p.refused(r, a, "signin.password", "throttled", err)
	}
	if err != nil {
		return nil, false, err
	}
	ok, stale, err := p.Passwords.Verify(ctx, record, pw)
	if err != nil {
		return nil, false, errors.Join(err, g.Undo(ctx))
	}
	switch {
	case !ok && a.ID == "":
		return nil, false, p.refused(r, a, "signin.password", "unknown_name", errWrong)
	case !ok:
		return nil, false, p.refused(r, a, "signin.password", "wrong_password", errWrong)
	case !a.MaySignIn():
		return nil, false, p.refused(r, a, "signin.password", "account_"+string(a.Status), errWrong)
	}
	return g, stale, nil
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

// rehash makes a record of today's cost. The time at which the person chose the password stays.
func (p *Pages) rehash(ctx context.Context, accountID, old, pw string) (unit.Write, error) {
	_, at, err := p.Store.Password(ctx, accountID)
	if err != nil {
		return nil, err
	}
	record, err := p.Passwords.Hash(ctx, pw)
	return factor.SetPassword{Account: accountID, Old: old, Record: record, At: at}, err
}

// passwordProven goes on after a right password: to the second factor if there is one, else into a session.
func (p *Pages) passwordProven(w http.ResponseWriter, r *http.Request, s step, a account.Account, writes []unit.Write) error {
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
			return p.lostRace(w, s, err)
		}
		return p.back(w, s.Flow)
	}
	e.Actor, e.Account = a.ID, a.ID
	if err := p.Commit.Commit(ctx, unit.Unit{Writes: writes, Event: e}); err != nil {
		return p.lostRace(w, s, err)
	}
	token := ident.NewToken(ident.SessionCookie)
	s.Flow.Pending = &flow.Pending{Cookie: ident.Hash(token), Account: a.ID, At: p.Clock.Now(), AMR: []string{session.AMRPassword}}
	if err := p.save(ctx, s.Flow); err != nil {
		return err
	}
	p.Edge.Cookies.SetSignin(w, token, flow.PendingLifetime)
	return p.back(w, s.Flow)
}

// lostRace sends the browser to the dispatcher when another tab was first; the flow is where that tab left it.
func (p *Pages) lostRace(w http.ResponseWriter, s step, err error) error {
	if unit.IsConflict(err) {
		return p.back(w, s.Flow)
	}
	return err
}
