package pages

import (
	"net/http"
	"slices"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/i18n"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

// consent asks whether an app may do what it asks for.
func (p *Pages) consent(w http.ResponseWriter, r *http.Request) error {
	s, ok, err := p.at(w, r, flow.Consent)
	if err != nil || !ok {
		return err
	}
	return p.showConsent(w, r, s, http.StatusOK)
}

func (p *Pages) showConsent(w http.ResponseWriter, r *http.Request, s step, status int, errs ...ui.FieldError) error {
	lang := p.lang(r, &s.Flow)
	groups, err := p.scopeGroups(r, lang, s.Want.Scopes)
	if err != nil {
		return err
	}
	b := p.base(w, r, "consent "+s.ID)
	b.Errors = errs
	page := ui.Consent{
		Base: b, App: *s.app(), Groups: groups, Name: s.State.Account.DisplayName(), Email: s.State.Account.Email,
		SwitchURL: path("/signin", s.ID) + "&switch=1", Offline: slices.Contains(s.Want.Scopes, "offline_access"), Remembered: !s.Want.NeverRemember,
	}
	return p.show(w, r, lang, status, page)
}

// scopeGroups says in plain words what scopes open, by API.
func (p *Pages) scopeGroups(r *http.Request, lang i18n.Lang, scopes []string) ([]ui.ScopeGroup, error) {
	reg, err := p.APIs.Get(r.Context())
	if err != nil {
		return nil, err
	}
	var out []ui.ScopeGroup
	at := map[string]int{}
	for _, s := range scopes {
		name := ""
		if owner, err := reg.ScopeOwner(s); err == nil {
			name = owner.Called(string(lang))
		}
		i, there := at[name]
		if !there {
			i = len(out)
			at[name] = i
			out = append(out, ui.ScopeGroup{API: name})
		}
		out[i].Scopes = append(out[i].Scopes, ui.ScopeWords{Name: s, Words: reg.Words(s, string(lang))})
	}
	return out, nil
}

var errDecision = fault.New(fault.Invalid, "decision", "choose to allow or not to").At("decision")

// consentDecide records the answer.
func (p *Pages) consentDecide(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	s, ok, err := p.at(w, r, flow.Consent)
	if err != nil || !ok {
		return err
	}
	if err := p.Edge.CheckCSRF(r, "consent "+s.ID); err != nil {
		return p.showConsent(w, r, s, http.StatusForbidden, ui.Wrong("", ui.ErrFormExpired))
	}
	now := p.Clock.Now()
	e := p.event(r, "consent.given", audit.Allowed, "")
	a := s.State.Account
	e.Actor, e.Account, e.Session, e.Client, e.Flow, e.Txn = a.ID, a.ID, s.State.Session.ID, s.Flow.Client, s.ID, s.Txn
	e.Detail = map[string]string{"scope": joined(s.Want.Scopes)}
	u := unit.Unit{}
	switch form.Get("decision") {
	case "allow":
		s.Flow.Consent = &flow.Fresh{Account: a.ID, Scopes: s.Want.Scopes, At: now}
		if !s.Want.NeverRemember {
			u.Writes = []unit.Write{grant.Allow{Account: a.ID, Client: s.Flow.Client, Scopes: s.Want.Scopes, At: now}}
		}
	case "deny":
		s.Flow.Denied = true
		e.Type, e.Outcome, e.Reason = "consent.refused", audit.Refused, "person"
	default:
		return errDecision
	}
	u.Event = e
	if err := p.Commit.Commit(r.Context(), u); err != nil {
		return err
	}
	if err := p.save(r.Context(), s.Flow); err != nil {
		return err
	}
	return p.back(w, s.Flow)
}
