package pages

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

// enrolment is where an enrolment happens: on the account page, or inside a flow.
type enrolment struct {
	who    person
	flow   *flow.Flow
	app    *ui.App
	here   string
	cancel string
	codes  string // where the recovery codes are shown
	done   string
}

func (p *Pages) enrol(w http.ResponseWriter, r *http.Request, who person) error {
	return p.showEnrol(w, r, p.accountEnrolment(who), "", http.StatusOK)
}

func (p *Pages) enrolFinish(w http.ResponseWriter, r *http.Request, who person) error {
	return p.finishEnrol(w, r, p.accountEnrolment(who))
}

func (p *Pages) accountEnrolment(who person) enrolment {
	return enrolment{who: who, here: "/account/factors/enrol", cancel: "/account/factors", codes: "/account/recovery-codes/show", done: "/account/factors?done=factor_added"}
}

// flowEnrolment is an enrolment that a flow asks for or that was offered in it. It needs a session whose password is fresh.
func (p *Pages) flowEnrolment(w http.ResponseWriter, r *http.Request) (e enrolment, ok bool, err error) {
	s, err := p.load(w, r)
	if err != nil {
		return e, false, err
	}
	d := flow.Next(s.Flow, s.State, p.Clock.Now())
	if s.State.Session.ID == "" || s.State.HasFactor || (d.Step != flow.Enrol && d.Step != flow.Consent && d.Step != flow.Issue) {
		return e, false, p.back(w, s.Flow)
	}
	if p.Clock.Now().Sub(s.State.Session.AuthTime) > recentFor {
		return e, false, p.visit(w, r, path("/signin/enrol", s.ID), flow.Want{Prompts: []string{"login"}, Account: s.State.Account.ID, LoginHint: s.State.Account.Email})
	}
	e = enrolment{who: person{s.State.Account, s.State.Session}, flow: &s.Flow, app: s.app(), here: path("/signin/enrol", s.ID), codes: path("/signin/codes", s.ID), done: dispatcher(s.Flow)}
	if d.Step != flow.Enrol {
		e.cancel = dispatcher(s.Flow)
	}
	return e, true, nil
}

func (p *Pages) flowEnrol(w http.ResponseWriter, r *http.Request) error {
	e, ok, err := p.flowEnrolment(w, r)
	if err != nil || !ok {
		return err
	}
	return p.showEnrol(w, r, e, "", http.StatusOK)
}

func (p *Pages) flowEnrolFinish(w http.ResponseWriter, r *http.Request) error {
	e, ok, err := p.flowEnrolment(w, r)
	if err != nil || !ok {
		return err
	}
	if err = p.finishEnrol(w, r, e); endedMeanwhile(err) {
		return p.back(w, *e.flow)
	}
	return err
}

// showEnrol shows a seed: the one of token if it is still good, else a new one.
func (p *Pages) showEnrol(w http.ResponseWriter, r *http.Request, e enrolment, token string, status int, errs ...ui.FieldError) error {
	now, a := p.Clock.Now(), e.who.Account
	seed, err := factor.Resume(p.Seal, a.ID, token, p.Name, a.Email, now)
	if err != nil {
		if seed, err = factor.Begin(p.Seal, a.ID, p.Name, a.Email, now); err != nil {
			return err
		}
	}
	b := p.ownBase(w, r, "enrol", e.who)
	b.Here, b.Errors = e.here, errs
	page := ui.EnrolTOTP{Base: b, App: e.app, URI: seed.URI, Secret: seed.Secret, Issuer: p.Name, Account: a.Email, Enrolment: seed.Token, CancelURL: e.cancel}
	return p.show(w, r, p.lang(r, e.flow), status, page)
}

// finishEnrol checks the first code: the authenticator is stored, the session rises to two factors with a new cookie
// and no fresher sign-in, and recovery codes are made if there are none.
func (p *Pages) finishEnrol(w http.ResponseWriter, r *http.Request, e enrolment) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	token, code := form.Get("enrolment"), strings.TrimSpace(form.Get("code"))
	if err := p.Edge.CheckCSRF(r, "enrol"); err != nil {
		return p.showEnrol(w, r, e, token, http.StatusForbidden, ui.Wrong("", ui.ErrFormExpired))
	}
	if code == "" {
		return p.showEnrol(w, r, e, token, http.StatusUnprocessableEntity, ui.Wrong("code", ui.ErrCodeRequired))
	}
	a, now := e.who.Account, p.Clock.Now()
	done, err := factor.Finish(p.Seal, a.ID, token, code, now)
	if isOneOf(err, factor.ErrCodeFormat, factor.ErrCodeWrong, factor.ErrEnrolmentExpired) {
		field := "code"
		if errors.Is(err, factor.ErrEnrolmentExpired) {
			field = ""
		}
		return p.showEnrol(w, r, e, token, http.StatusUnprocessableEntity, fieldError(err, field))
	}
	if err != nil {
		return err
	}
	done.TOTP.UsedAt = now
	shown, err := p.storeFactor(w, r, e.who, done)
	if _, again := unit.ConflictIn[unit.Spend](err); again {
		return p.showEnrol(w, r, e, "", http.StatusUnprocessableEntity, fieldError(factor.ErrEnrolmentExpired, ""))
	}
	if _, used := unit.ConflictIn[factor.UseStep](err); used {
		return p.showEnrol(w, r, e, token, http.StatusUnprocessableEntity, ui.Wrong("code", ui.ErrCodeUsed))
	}
	if _, full := unit.ConflictIn[factor.AddTOTP](err); full {
		return see(w, "/account/factors")
	}
	if err != nil {
		return err
	}
	if shown {
		return see(w, e.codes)
	}
	return see(w, e.done)
}

// storeFactor makes an enrolment durable. It reports whether recovery codes wait to be shown.
func (p *Pages) storeFactor(w http.ResponseWriter, r *http.Request, who person, done factor.Enrolled) (bool, error) {
	ctx, now, a := r.Context(), p.Clock.Now(), who.Account
	b, err := p.renew(r, who, byTOTP)
	if err != nil {
		return false, err
	}
	told, err := p.mail(a, ui.MailFactorAdded{MailBase: p.mailBase(a), Where: p.where(r)})
	if err != nil {
		return false, err
	}
	writes := []unit.Write{done.Once, factor.UseStep{Account: a.ID, Step: done.Step, At: now}, factor.AddTOTP{TOTP: done.TOTP, First: !who.Session.Satisfies(session.AAL2)}, told}
	codes, err := p.Store.RecoveryCodes(ctx, a.ID)
	if err != nil {
		return false, err
	}
	list, _, err := p.Store.TOTPs(ctx, a.ID)
	if err != nil {
		return false, err
	}
	shown := factor.Left(codes) == 0 || len(list) == 0 // without a factor, codes that are left over were never meant for this one
	if shown {
		fresh, err := p.freshCodes(r, who)
		if err != nil {
			return false, err
		}
		writes = append(writes, fresh)
	}
	e := p.event(r, "factor.enrolled", audit.Allowed, "")
	e.Detail = map[string]string{"factor": "totp", "id": done.TOTP.ID}
	err = p.commitSession(w, r, a, b, true, e, writes...)
	p.Wake()
	return shown, err
}

const (
	kindCodes  = "recovery-codes"
	codesShown = 15 * time.Minute
)

// shownTo names the text of a set of recovery codes by the session that made it and by what is stored of the set: nobody
// else can have it shown, and what is shown is never a set that lost a race.
func shownTo(who person, codes []factor.RecoveryCode) string {
	parts := make([]string, 0, len(codes)+1)
	for _, c := range codes {
		parts = append(parts, string(c.Hash[:]))
	}
	slices.Sort(parts)
	key := unit.Key(append(parts, who.Session.ID)...)
	return string(key[:])
}

// freshCodes makes recovery codes and keeps their text, sealed and for a short while, to be shown once.
func (p *Pages) freshCodes(r *http.Request, who person) (unit.Write, error) {
	accountID := who.Account.ID
	texts, codes := factor.NewRecoveryCodes(p.RecoveryKey)
	body, err := json.Marshal(texts)
	if err != nil {
		return nil, err
	}
	sealed, err := p.Seal.Seal(body, kindCodes+" "+accountID)
	if err != nil {
		return nil, err
	}
	return factor.SetRecoveryCodes{Account: accountID, Codes: codes, At: p.Clock.Now()}, p.Volatile.Put(r.Context(), kindCodes, shownTo(who, codes), sealed, codesShown)
}

// codesOf returns the codes that wait to be shown, or none.
func (p *Pages) codesOf(r *http.Request, who person) (texts []string, err error) {
	codes, err := p.Store.RecoveryCodes(r.Context(), who.Account.ID)
	if err != nil {
		return nil, err
	}
	sealed, ok, err := p.Volatile.Get(r.Context(), kindCodes, shownTo(who, codes))
	if err != nil || !ok {
		return nil, err
	}
	body, err := p.Seal.Open(sealed, kindCodes+" "+who.Account.ID)
	if err != nil {
		return nil, err
	}
	return texts, json.Unmarshal(body, &texts)
}

func (p *Pages) showCodesAt(w http.ResponseWriter, r *http.Request, who person, f *flow.Flow, done string) error {
	texts, err := p.codesOf(r, who)
	if err != nil {
		return err
	}
	if texts == nil {
		return see(w, done)
	}
	return p.show(w, r, p.lang(r, f), http.StatusOK, ui.RecoveryCodes{Base: p.ownBase(w, r, "codes", who), Account: who.Account.Email, Codes: texts})
}

func (p *Pages) forgetCodes(w http.ResponseWriter, r *http.Request, who person, done string) error {
	if _, err := web.Form(r); err != nil {
		return err
	}
	if err := p.Edge.CheckCSRF(r, "codes"); err != nil {
		return err
	}
	codes, err := p.Store.RecoveryCodes(r.Context(), who.Account.ID)
	if err != nil {
		return err
	}
	if err := p.Volatile.Delete(r.Context(), kindCodes, shownTo(who, codes)); err != nil {
		return err
	}
	return see(w, done)
}

func (p *Pages) showCodes(w http.ResponseWriter, r *http.Request, who person) error {
	return p.showCodesAt(w, r, who, nil, "/account/factors")
}

func (p *Pages) codesSaved(w http.ResponseWriter, r *http.Request, who person) error {
	return p.forgetCodes(w, r, who, "/account/factors?done=factor_added")
}

// flowCodes shows new recovery codes before a flow goes on.
func (p *Pages) flowCodes(w http.ResponseWriter, r *http.Request) error {
	s, err := p.load(w, r)
	if err != nil {
		return err
	}
	if !s.State.Session.Satisfies(session.AAL2) {
		return p.back(w, s.Flow)
	}
	return p.showCodesAt(w, r, person{s.State.Account, s.State.Session}, &s.Flow, dispatcher(s.Flow))
}

func (p *Pages) flowCodesSaved(w http.ResponseWriter, r *http.Request) error {
	s, err := p.load(w, r)
	if err != nil {
		return err
	}
	if !s.State.Session.Satisfies(session.AAL2) {
		return p.back(w, s.Flow)
	}
	return p.forgetCodes(w, r, person{s.State.Account, s.State.Session}, dispatcher(s.Flow))
}
