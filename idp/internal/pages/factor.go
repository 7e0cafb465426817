package pages

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

func retryAfter(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

// factorForm asks for a one-time code.
func (p *Pages) factorForm(w http.ResponseWriter, r *http.Request) error {
	s, ok, err := p.at(w, r, flow.Factor)
	if err != nil || !ok {
		return err
	}
	return p.showFactor(w, r, s, false, http.StatusOK, nil)
}

// recoveryForm asks for a recovery code.
func (p *Pages) recoveryForm(w http.ResponseWriter, r *http.Request) error {
	s, ok, err := p.at(w, r, flow.Factor)
	if err != nil || !ok {
		return err
	}
	return p.showFactor(w, r, s, true, http.StatusOK, nil)
}

func (p *Pages) showFactor(w http.ResponseWriter, r *http.Request, s step, recovery bool, status int, wait *ui.Throttle, errs ...ui.FieldError) error {
	b := p.base(w, r, "factor "+s.ID)
	b.Errors = errs
	restart := path("/signin", s.ID) + "&switch=1"
	var page ui.Page = ui.Factor{Base: b, App: s.app(), RecoveryURL: path("/signin/recovery", s.ID), RestartURL: restart, Throttled: wait}
	if recovery {
		page = ui.FactorRecovery{Base: b, App: s.app(), FactorURL: path("/signin/factor", s.ID), RestartURL: restart, Throttled: wait}
	}
	return p.show(w, r, p.lang(r, &s.Flow), status, page)
}

// factorCheck verifies a one-time code.
func (p *Pages) factorCheck(w http.ResponseWriter, r *http.Request) error {
	return p.secondFactor(w, r, false)
}

// recoveryCheck verifies a recovery code.
func (p *Pages) recoveryCheck(w http.ResponseWriter, r *http.Request) error {
	return p.secondFactor(w, r, true)
}

func (p *Pages) secondFactor(w http.ResponseWriter, r *http.Request, recovery bool) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	s, ok, err := p.at(w, r, flow.Factor)
	if err != nil || !ok {
		return err
	}
	if err := p.Edge.CheckCSRF(r, "factor "+s.ID); err != nil {
		return p.showFactor(w, r, s, recovery, http.StatusForbidden, nil, ui.Wrong("", ui.ErrFormExpired))
	}
	code := strings.TrimSpace(form.Get("code"))
	if code == "" {
		missing := ui.ErrCodeRequired
		if recovery {
			missing = ui.ErrRecoveryRequired
		}
		return p.showFactor(w, r, s, recovery, http.StatusUnprocessableEntity, nil, ui.Wrong("code", missing))
	}
	a, kept, ok, err := p.stillPending(r, s)
	if err != nil {
		return err
	}
	if !ok {
		return p.pendingDone(w, r, s)
	}
	err = p.proveFactor(w, r, s, a, code, recovery, kept)
	switch wait := throttled(err); {
	case wait != nil:
		w.Header().Set("Retry-After", retryAfter(wait.Wait))
		return p.showFactor(w, r, s, recovery, http.StatusTooManyRequests, wait, ui.Wrong("", ui.ErrTooMany, "Wait", wait.Wait))
	case isOneOf(err, factor.ErrCodeFormat, factor.ErrCodeWrong, factor.ErrCodeUsed, factor.ErrRecoveryWrong):
		return p.showFactor(w, r, s, recovery, http.StatusUnprocessableEntity, nil, fieldError(err, "code"))
	case err != nil:
		return p.lostRace(w, s, err)
	}
	return p.pendingDone(w, r, s)
}

// stillPending returns whose password was proven, and the condition that it is still theirs. ok is false when they
// changed it since: what was proven is worth nothing then.
func (p *Pages) stillPending(r *http.Request, s step) (a account.Account, kept factor.SetPassword, ok bool, err error) {
	a, err = p.Store.Account(r.Context(), s.Flow.Pending.Account)
	if err != nil {
		return a, kept, false, err
	}
	if !a.MaySignIn() {
		return a, kept, false, p.refused(r, a, "signin.factor", "account_"+string(a.Status), flow.ErrNotFound)
	}
	kept, err = p.keep(r.Context(), a.ID)
	return a, kept, !kept.At.After(s.Flow.Pending.At), err
}

// pendingDone ends the half-finished sign-in of a flow.
func (p *Pages) pendingDone(w http.ResponseWriter, r *http.Request, s step) error {
	s.Flow.Pending = nil
	if err := p.save(r.Context(), s.Flow); err != nil {
		return err
	}
	return p.back(w, s.Flow)
}

func isOneOf(err error, list ...error) bool {
	for _, e := range list {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// proveFactor verifies a second factor within the limits and begins the session that it opens.
func (p *Pages) proveFactor(w http.ResponseWriter, r *http.Request, s step, a account.Account, code string, recovery bool, kept unit.Write) error {
	class, kind, pr, check := throttle.OTP, "totp", byTOTP, p.checkTOTP
	if recovery {
		class, kind, pr, check = throttle.Recovery, "recovery_code", byRecovery, p.checkRecovery
	}
	guess, err := p.reserve(r, a, class)
	if err != nil {
		return err
	}
	writes, err := check(r, a, code)
	if errors.Is(err, factor.ErrCodeFormat) {
		return errors.Join(err, guess.Undo(r.Context()))
	}
	if isOneOf(err, factor.ErrCodeWrong, factor.ErrCodeUsed, factor.ErrRecoveryWrong) {
		return p.refusedFactor(r, a, kind, guess, err)
	}
	if err != nil {
		return errors.Join(err, guess.Undo(r.Context()))
	}
	b, err := p.begin(r, a, pr)
	if err != nil {
		return err
	}
	e := p.event(r, "signin.factor", audit.Allowed, "")
	e.Flow, e.Txn, e.Client, e.Detail = s.ID, s.Txn, s.Flow.Client, map[string]string{"factor": kind}
	err = p.commitSession(w, r, a, b, false, e, append(writes, kept, guess.Succeeded())...)
	if _, used := unit.ConflictIn[factor.UseStep](err); used {
		return p.refusedFactor(r, a, kind, guess, factor.ErrCodeUsed)
	}
	if _, used := unit.ConflictIn[factor.UseRecoveryCode](err); used {
		return p.refusedFactor(r, a, kind, guess, factor.ErrRecoveryWrong)
	}
	if err == nil && recovery {
		p.Wake()
	}
	return err
}

func (p *Pages) reserve(r *http.Request, a account.Account, c throttle.Class) (*throttle.Guess, error) {
	known, err := p.knownDevice(r, a.ID)
	if err != nil {
		return nil, err
	}
	g, err := p.Limiter.Reserve(r.Context(), throttle.Subject{Class: c, Account: a.ID, IP: web.Info(r.Context()).IP, Known: known})
	if throttled(err) != nil {
		return nil, p.unheard(r, a, "signin.factor", err)
	}
	return g, err
}

func (p *Pages) refusedFactor(r *http.Request, a account.Account, kind string, g *throttle.Guess, err error) error {
	e := p.event(r, "signin.factor", audit.Refused, faultCode(err))
	e.Account, e.Detail = a.ID, map[string]string{"factor": kind}
	return p.failed(r, a, e, g.Failures == warnFactors, g.Failures, err)
}

func (p *Pages) checkTOTP(r *http.Request, a account.Account, code string) ([]unit.Write, error) {
	list, last, err := p.Store.TOTPs(r.Context(), a.ID)
	if err != nil {
		return nil, err
	}
	now := p.Clock.Now()
	m, err := factor.CheckTOTP(p.Seal, list, last, code, now)
	if err != nil {
		return nil, err
	}
	return []unit.Write{factor.UseStep{Account: a.ID, TOTP: m.ID, Step: m.Step, At: now}}, nil
}

// checkRecovery finds a recovery code; its owner is told that it was used.
func (p *Pages) checkRecovery(r *http.Request, a account.Account, code string) ([]unit.Write, error) {
	codes, err := p.Store.RecoveryCodes(r.Context(), a.ID)
	if err != nil {
		return nil, err
	}
	c, err := factor.CheckRecovery(p.RecoveryKey, codes, code)
	if err != nil {
		return nil, err
	}
	q, err := p.mail(a, ui.MailRecoveryCodeUsed{MailBase: p.mailBase(a), Where: p.where(r), Left: factor.Left(codes) - 1})
	return []unit.Write{factor.UseRecoveryCode{Account: a.ID, Hash: c.Hash, At: p.Clock.Now()}, q}, err
}
