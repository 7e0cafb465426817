package pages

import (
	"net/http"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

// password takes the old password and a new one.
func (p *Pages) password(w http.ResponseWriter, r *http.Request, who person) error {
	return p.showPassword(w, r, who, http.StatusOK, ui.ChangePassword{EndOthers: true})
}

func (p *Pages) showPassword(w http.ResponseWriter, r *http.Request, who person, status int, page ui.ChangePassword, errs ...ui.FieldError) error {
	page.Base, page.Username = p.ownBase(w, r, "password", who), who.Account.Email
	page.Errors = errs
	return p.Show(w, r, status, page)
}

// checkPasswordRules is account.CheckPassword with the words that stand for this provider where it runs: its name and its
// host (NIST SP 800-63B-4 §3.1.1.2 asks for those of the service).
func (p *Pages) checkPasswordRules(pw string, about []string) error {
	return account.CheckPassword(pw, append(about, p.Name, p.Issuer.Hostname())...)
}

func (p *Pages) passwordChange(w http.ResponseWriter, r *http.Request, who person) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	old, fresh := form.Get("current_password"), form.Get("new_password")
	page := ui.ChangePassword{EndOthers: form.Get("end_others") == "1"}
	if err := p.Edge.CheckCSRF(r, "password"); err != nil {
		return p.showPassword(w, r, who, http.StatusForbidden, page, ui.Wrong("", ui.ErrFormExpired))
	}
	var errs []ui.FieldError
	if old == "" {
		errs = append(errs, ui.Wrong("current_password", ui.ErrPasswordCurrent))
	}
	switch weak := p.checkPasswordRules(fresh, who.Account.About()); {
	case fresh == "":
		errs = append(errs, ui.Wrong("new_password", ui.ErrPasswordRequired))
	case weak != nil:
		errs = append(errs, fieldError(weak, "new_password"))
		page.Password = advice(fresh, weak)
	case fresh == old:
		errs = append(errs, ui.Wrong("new_password", ui.ErrPasswordSame))
	}
	if errs != nil {
		return p.showPassword(w, r, who, http.StatusUnprocessableEntity, page, errs...)
	}
	record, _, err := p.Store.Password(r.Context(), who.Account.ID)
	if err != nil {
		return err
	}
	guess, _, err := p.guessPassword(r, who.Account, record, who.Account.ID, old)
	switch wait := throttled(err); {
	case wait != nil:
		page.Throttled = wait
		w.Header().Set("Retry-After", retryAfter(wait.Wait))
		return p.showPassword(w, r, who, http.StatusTooManyRequests, page, ui.Wrong("", ui.ErrTooMany, "Wait", wait.Wait))
	case isOneOf(err, errWrong):
		return p.showPassword(w, r, who, http.StatusUnprocessableEntity, page, ui.Wrong("current_password", ui.ErrPasswordWrong))
	case err != nil:
		return err
	}
	return p.replacePassword(w, r, who, record, fresh, page.EndOthers, guess.Succeeded())
}

// replacePassword stores a new password. Every refresh family of the account ends with it (RFC 9700 §4.14.2), other
// sessions if the person wants that, and this session gets a new cookie.
func (p *Pages) replacePassword(w http.ResponseWriter, r *http.Request, who person, old, pw string, endOthers bool, settled unit.Write) error {
	record, err := p.Passwords.Hash(r.Context(), pw)
	if err != nil {
		return err
	}
	now, a := p.Clock.Now(), who.Account
	b, err := p.renew(r, who, proof{who.Session.ACR, who.Session.AMR})
	if err != nil {
		return err
	}
	told, err := p.mail(a, ui.MailPasswordChanged{MailBase: p.mailBase(a), Where: p.where(r)})
	if err != nil {
		return err
	}
	writes := []unit.Write{settled, factor.SetPassword{Account: a.ID, Old: old, Record: record, At: now}, grant.RevokeAccount{Account: a.ID, At: now}, told}
	if endOthers {
		writes = append(writes, session.EndAll{Account: a.ID, Except: who.Session.ID, At: now})
	}
	err = p.commitSession(w, r, a, b, true, p.ownEvent(r, "password.changed", who), writes...)
	p.Wake()
	if unit.IsConflict(err) && !endedMeanwhile(err) {
		return p.showPassword(w, r, who, http.StatusConflict, ui.ChangePassword{EndOthers: endOthers}, ui.Wrong("", ui.ErrConflict))
	}
	if err != nil {
		return err
	}
	return see(w, "/account?done=password_changed")
}

// factors lists the second factors.
func (p *Pages) factors(w http.ResponseWriter, r *http.Request, who person) error {
	list, _, err := p.Store.TOTPs(r.Context(), who.Account.ID)
	if err != nil {
		return err
	}
	codes, err := p.Store.RecoveryCodes(r.Context(), who.Account.ID)
	if err != nil {
		return err
	}
	page := ui.Factors{Base: p.ownBase(w, r, "factors", who), RecoveryLeft: factor.Left(codes), RecoveryTotal: len(codes)}
	if len(codes) > 0 {
		page.RecoveryMadeAt = codes[0].MadeAt
	}
	for _, t := range list {
		page.Factors = append(page.Factors, row(t))
	}
	return p.Show(w, r, http.StatusOK, page)
}

func row(t factor.TOTP) ui.FactorRow {
	return ui.FactorRow{ID: t.ID, AddedAt: t.CreatedAt, LastUsed: t.UsedAt}
}

// removing finds the factor that the address names.
func (p *Pages) removing(r *http.Request, who person) (t factor.TOTP, last, ok bool, err error) {
	list, _, err := p.Store.TOTPs(r.Context(), who.Account.ID)
	for _, f := range list {
		if f.ID == r.URL.Query().Get("id") {
			return f, len(list) == 1, true, err
		}
	}
	return factor.TOTP{}, false, false, err
}

// removeFactor asks before a factor goes.
func (p *Pages) removeFactor(w http.ResponseWriter, r *http.Request, who person) error {
	t, last, ok, err := p.removing(r, who)
	if err != nil {
		return err
	}
	if !ok {
		return see(w, "/account/factors")
	}
	return p.Show(w, r, http.StatusOK, ui.RemoveFactor{Base: p.ownBase(w, r, "factor-remove", who), Factor: row(t), Last: last})
}

// removeFactorDo takes a factor off. With the last one the recovery codes go too: they stand in for a factor.
func (p *Pages) removeFactorDo(w http.ResponseWriter, r *http.Request, who person) error {
	if _, err := web.Form(r); err != nil {
		return err
	}
	if err := p.Edge.CheckCSRF(r, "factor-remove"); err != nil {
		return err
	}
	t, last, ok, err := p.removing(r, who)
	if err != nil {
		return err
	}
	if !ok {
		return see(w, "/account/factors")
	}
	a := who.Account
	told, err := p.mail(a, ui.MailFactorRemoved{MailBase: p.mailBase(a), Where: p.where(r)})
	if err != nil {
		return err
	}
	writes := []unit.Write{factor.RemoveTOTP{Account: a.ID, ID: t.ID}, told}
	if last {
		writes = append(writes, factor.SetRecoveryCodes{Account: a.ID})
	}
	e := p.ownEvent(r, "factor.removed", who)
	e.Detail = map[string]string{"factor": "totp", "id": t.ID}
	err = p.commitOwn(r.Context(), who, unit.Unit{Writes: writes, Event: e})
	p.Wake()
	if _, gone := unit.ConflictIn[factor.RemoveTOTP](err); err != nil && !gone {
		return err
	}
	return see(w, "/account/factors?done=factor_removed")
}

// renewCodes asks before the old recovery codes die.
func (p *Pages) renewCodes(w http.ResponseWriter, r *http.Request, who person) error {
	codes, err := p.Store.RecoveryCodes(r.Context(), who.Account.ID)
	if err != nil {
		return err
	}
	return p.Show(w, r, http.StatusOK, ui.RecoveryCodesRenew{Base: p.ownBase(w, r, "codes-renew", who), Left: factor.Left(codes), Total: len(codes)})
}

func (p *Pages) renewCodesDo(w http.ResponseWriter, r *http.Request, who person) error {
	if _, err := web.Form(r); err != nil {
		return err
	}
	if err := p.Edge.CheckCSRF(r, "codes-renew"); err != nil {
		return err
	}
	a := who.Account
	has, err := p.Store.HasSecondFactor(r.Context(), a.ID)
	if err != nil {
		return err
	}
	if !has { // codes stand in for a factor: without one there is nothing to stand in for
		return see(w, "/account/factors")
	}
	fresh, err := p.freshCodes(r, who)
	if err != nil {
		return err
	}
	told, err := p.mail(a, ui.MailRecoveryCodesRenewed{MailBase: p.mailBase(a), Where: p.where(r)})
	if err != nil {
		return err
	}
	err = p.commitOwn(r.Context(), who, unit.Unit{Writes: []unit.Write{fresh, told}, Event: p.ownEvent(r, "recovery.renewed", who)})
	p.Wake()
	if err != nil {
		return err
	}
	return see(w, "/account/recovery-codes/show")
}

// signoutForm asks before signing out.
func (p *Pages) signoutForm(w http.ResponseWriter, r *http.Request) error {
	who, _, err := p.whoIs(r)
	if err != nil {
		return err
	}
	if who.Session.ID == "" {
		return see(w, "/signed-out")
	}
	return p.Show(w, r, http.StatusOK, ui.LogoutConfirm{Base: p.ownBase(w, r, "signout", who), Name: who.Account.DisplayName(), StayURL: "/account"})
}

func (p *Pages) signout(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.Form(r); err != nil {
		return err
	}
	if err := p.Edge.CheckCSRF(r, "signout"); err != nil {
		return see(w, "/signout")
	}
	who, _, err := p.whoIs(r) // whatever it proves: it ends
	if err != nil {
		return err
	}
	if who.Session.ID != "" {
		if err := p.Acts.SignOut(r.Context(), who.Session, p.ownEvent(r, "", who)); err != nil {
			return err
		}
	}
	p.Edge.Cookies.ClearSession(w)
	return see(w, "/signed-out")
}

func (p *Pages) signedOut(w http.ResponseWriter, r *http.Request) error {
	return p.Show(w, r, http.StatusOK, ui.LoggedOut{Base: p.base(w, r, "static")})
}
