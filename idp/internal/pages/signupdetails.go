package pages

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

// signupDetails asks for everything but the address.
func (p *Pages) signupDetails(w http.ResponseWriter, r *http.Request) error {
	s, ok := p.signupOf(r)
	if !ok || !s.proven() {
		return see(w, "/signup")
	}
	return p.showDetails(w, r, http.StatusOK, ui.SignupDetails{Email: s.Email, PersonFields: ui.PersonFields{Locale: string(p.lang(r, nil))}})
}

func (p *Pages) showDetails(w http.ResponseWriter, r *http.Request, status int, page ui.SignupDetails, errs ...ui.FieldError) error {
	page.Base = p.base(w, r, "signup-details")
	page.Errors = errs
	return p.Show(w, r, status, page)
}

// personFields reads the particulars of a form.
func personFields(form url.Values) ui.PersonFields {
	return ui.PersonFields{
		GivenName: form.Get("given_name"), FamilyName: form.Get("family_name"),
		BirthMonth: form.Get("birth_month"), BirthDay: form.Get("birth_day"), BirthYear: form.Get("birth_year"),
		Country: form.Get("country"), Locale: form.Get("locale"),
	}
}

func draftOf(f ui.PersonFields) account.Draft {
	return account.Draft{GivenName: f.GivenName, FamilyName: f.FamilyName, BirthDate: isoDate(f), Country: f.Country, Locale: f.Locale}
}

// isoDate puts a date together from its three fields; what is no number leaves no date.
func isoDate(f ui.PersonFields) string {
	pad := func(s string, n int) string {
		s = strings.TrimSpace(s)
		return strings.Repeat("0", max(0, n-len(s))) + s
	}
	return fmt.Sprintf("%s-%s-%s", pad(f.BirthYear, 4), pad(f.BirthMonth, 2), pad(f.BirthDay, 2))
}

// signupCreate makes the account, its password and its first session in one step.
func (p *Pages) signupCreate(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	s, ok := p.signupOf(r)
	if !ok || !s.proven() {
		return errSignupGone
	}
	page := ui.SignupDetails{Email: s.Email, PersonFields: personFields(form), Username: form.Get("username")}
	if err := p.Edge.CheckCSRF(r, "signup-details"); err != nil {
		return p.showDetails(w, r, http.StatusForbidden, page, ui.Wrong("", ui.ErrFormExpired))
	}
	draft := draftOf(page.PersonFields)
	draft.Email, draft.Username = s.Email, page.Username
	create, faults := draft.New(p.Clock.Now())
	pw := form.Get("password")
	if err := p.checkPasswordRules(pw, draft.About()); err != nil {
		faults = append(faults, err)
		page.Password = advice(pw, err)
	}
	if taken, err := p.usernameTaken(r, create); err != nil {
		return err
	} else if taken {
		faults = append(faults, account.ErrTaken.At("username"))
	}
	if len(faults) > 0 {
		return p.showDetails(w, r, http.StatusUnprocessableEntity, page, fieldErrors(faults, page.PersonFields)...)
	}
	return p.create(w, r, s, page, create, pw)
}

// usernameTaken looks before the write, to say it beside the field. Names are public by nature; addresses are not looked
// up here.
func (p *Pages) usernameTaken(r *http.Request, c account.Create) (bool, error) {
	if len(c.Canonical) < 2 || c.Canonical[1] == "" {
		return false, nil
	}
	_, err := p.Store.AccountByIdentifier(r.Context(), c.Canonical[1])
	if errors.Is(err, account.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (p *Pages) create(w http.ResponseWriter, r *http.Request, s signup, page ui.SignupDetails, c account.Create, pw string) error {
	record, err := p.Passwords.Hash(r.Context(), pw)
	if err != nil {
		return err
	}
	now, a := p.Clock.Now(), c.Account
	b, err := p.begin(r, a, byPassword)
	if err != nil {
		return err
	}
	err = p.commitSession(w, r, a, b, true, p.event(r, "account.created", audit.Allowed, ""),
		unit.Spend{Kind: "signup", Key: [32]byte(s.Link), Ref: a.ID, Until: now.Add(2 * signupLifetime)},
		c, factor.SetPassword{Account: a.ID, Record: record, At: now})
	if _, used := unit.ConflictIn[unit.Spend](err); used {
		return errSignupGone
	}
	if _, taken := unit.ConflictIn[account.Create](err); taken {
		if again, err := p.usernameTaken(r, c); err != nil || again {
			return p.showDetails(w, r, http.StatusUnprocessableEntity, page, ui.Wrong("username", ui.ErrUsernameTaken))
		}
		return errSignupGone // somebody opened an account with this address meanwhile: its owner, who reads its mail
	}
	if err != nil {
		return err
	}
	p.Edge.Cookies.ClearSignup(w)
	if err := p.setLang(w, r, a.Locale, s.Flow); err != nil {
		return err
	}
	return see(w, path("/signin/offer", s.Flow))
}

// flowOffer recommends a second factor, right after the sign-up, before the flow goes on.
func (p *Pages) flowOffer(w http.ResponseWriter, r *http.Request) error {
	who, ok, err := p.whoIs(r)
	if err != nil {
		return err
	}
	if !ok {
		return see(w, "/signin")
	}
	b := p.base(w, r, "offer")
	b.SignedIn = &ui.SignedIn{Name: who.Account.DisplayName()}
	page := ui.OfferFactor{Base: b, Welcome: true, GivenName: who.Account.GivenName, EnrolURL: "/account/factors/enrol", SkipURL: "/account"}
	if f, err := p.Flows.GetFlow(r.Context(), r.URL.Query().Get("flow")); err == nil && f.BelongsTo(p.Edge.Cookies.Flow(r)) && ident.Valid("flw", f.ID) {
		page.EnrolURL, page.SkipURL = path("/signin/enrol", f.ID), dispatcher(f)
	}
	return p.Show(w, r, http.StatusOK, page)
}
