package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/i18n"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

func joined(list []string) string { return strings.Join(list, " ") }

func faultCode(err error) string { return fault.Of(err).Code }

// notices are what a page may say was done, by the word in its address.
var notices = map[string]i18n.Key{
	"profile_saved": ui.NoticeProfileSaved, "password_changed": ui.NoticePasswordChanged, "factor_added": ui.NoticeFactorAdded,
	"factor_removed": ui.NoticeFactorRemoved, "codes_renewed": ui.NoticeCodesRenewed, "session_ended": ui.NoticeSessionEnded,
}

// ownBase is base for who is signed in.
func (p *Pages) ownBase(w http.ResponseWriter, r *http.Request, purpose string, who person) ui.Base {
	b := p.base(w, r, purpose)
	b.SignedIn = &ui.SignedIn{Name: who.Account.DisplayName()}
	if k, ok := notices[r.URL.Query().Get("done")]; ok {
		b.Notice = ui.Say(k)
		b.Here = r.URL.Path
	}
	return b
}

// home is the overview of an account.
func (p *Pages) home(w http.ResponseWriter, r *http.Request, who person) error {
	ctx, a := r.Context(), who.Account
	_, changed, err := p.Store.Password(ctx, a.ID)
	if err != nil {
		return err
	}
	second, err := p.Store.HasSecondFactor(ctx, a.ID)
	if err != nil {
		return err
	}
	codes, err := p.Store.RecoveryCodes(ctx, a.ID)
	if err != nil {
		return err
	}
	sessions, err := p.Store.SessionsOf(ctx, a.ID, p.Clock.Now())
	if err != nil {
		return err
	}
	apps, err := p.Store.ConsentsOf(ctx, a.ID)
	if err != nil {
		return err
	}
	page := ui.AccountHome{
		Base: p.ownBase(w, r, "account", who), GivenName: a.GivenName, Email: a.Email, HasTOTP: second, RecoveryLeft: factor.Left(codes),
		SessionCount: len(sessions), AppCount: len(byClient(apps)), PasswordChanged: changed,
	}
	if page.LastSignIn, err = p.lastSignIn(r, who); err != nil {
		return err
	}
	return p.Show(w, r, http.StatusOK, page)
}

// byClient groups consents by client, in the order in which they were given.
func byClient(list []grant.Consent) [][]grant.Consent {
	var out [][]grant.Consent
	at := map[string]int{}
	for _, c := range list {
		i, there := at[c.Client]
		if !there {
			i = len(out)
			at[c.Client] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], c)
	}
	return out
}

// profile edits the particulars.
func (p *Pages) profile(w http.ResponseWriter, r *http.Request, who person) error {
	a := who.Account
	f := ui.PersonFields{GivenName: a.GivenName, FamilyName: a.FamilyName, Country: a.Country, Locale: a.Locale}
	if y, rest, ok := strings.Cut(a.BirthDate, "-"); ok {
		m, d, _ := strings.Cut(rest, "-")
		f.BirthYear, f.BirthMonth, f.BirthDay = y, strings.TrimLeft(m, "0"), strings.TrimLeft(d, "0")
	}
	return p.showProfile(w, r, who, f, http.StatusOK)
}

func (p *Pages) showProfile(w http.ResponseWriter, r *http.Request, who person, f ui.PersonFields, status int, errs ...ui.FieldError) error {
	b := p.ownBase(w, r, "profile", who)
	b.Errors = errs
	return p.Show(w, r, status, ui.Profile{Base: b, Email: who.Account.Email, PersonFields: f, Username: who.Account.Username, Version: who.Account.Version})
}

func (p *Pages) profileSave(w http.ResponseWriter, r *http.Request, who person) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	f := personFields(form)
	if err := p.Edge.CheckCSRF(r, "profile"); err != nil {
		return p.showProfile(w, r, who, f, http.StatusForbidden, ui.Wrong("", ui.ErrFormExpired))
	}
	now := p.Clock.Now()
	changed, faults := draftOf(f).Check(who.Account, now)
	if len(faults) > 0 {
		return p.showProfile(w, r, who, f, http.StatusUnprocessableEntity, fieldErrors(faults, f)...)
	}
	if form.Get("version") != strconv.FormatInt(who.Account.Version, 10) { // changed in another tab since the form was shown
		return p.showProfile(w, r, who, f, http.StatusConflict, ui.Wrong("", ui.ErrConflict))
	}
	changed.UpdatedAt = now
	e := p.ownEvent(r, "account.changed", who)
	e.Detail = map[string]string{"fields": joined(changedFields(who.Account, changed))}
	err = p.commitOwn(r.Context(), who, unit.Unit{Writes: []unit.Write{account.Update{Account: changed}}, Event: e})
	if _, moved := unit.ConflictIn[account.Update](err); moved {
		return p.showProfile(w, r, who, f, http.StatusConflict, ui.Wrong("", ui.ErrConflict))
	}
	if err != nil {
		return err
	}
	if changed.Locale != who.Account.Locale {
		p.Edge.Cookies.SetLang(w, changed.Locale)
	}
	return see(w, "/account/profile?done=profile_saved")
}

// changedFields names what changed: the audit says which fields, never what stands in them.
func changedFields(a, b account.Account) (out []string) {
	for name, differs := range map[string]bool{
		"given_name": a.GivenName != b.GivenName, "family_name": a.FamilyName != b.FamilyName, "birth_date": a.BirthDate != b.BirthDate,
		"country": a.Country != b.Country, "locale": a.Locale != b.Locale,
	} {
		if differs {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// ownEvent is an event of the person's own doing.
func (p *Pages) ownEvent(r *http.Request, kind string, who person) audit.Event {
	e := p.event(r, kind, audit.Allowed, "")
	e.Actor, e.Account, e.Session, e.Device = who.Account.ID, who.Account.ID, who.Session.ID, who.Session.Device
	return e
}

// sessions lists where the person is signed in.
func (p *Pages) sessions(w http.ResponseWriter, r *http.Request, who person) error {
	list, err := p.Store.SessionsOf(r.Context(), who.Account.ID, p.Clock.Now())
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b session.Session) int { // this one first
		switch who.Session.ID {
		case a.ID:
			return -1
		case b.ID:
			return 1
		}
		return 0
	})
	page := ui.Sessions{Base: p.ownBase(w, r, "sessions", who)}
	for _, s := range list {
		page.Sessions = append(page.Sessions, ui.SessionRow{
			ID: s.ID, UserAgent: s.UserAgent, IP: s.IP, StartedAt: s.CreatedAt, LastSeen: s.LastSeen,
			Current: s.ID == who.Session.ID, TwoFactor: s.Satisfies(session.AAL2),
		})
	}
	return p.Show(w, r, http.StatusOK, page)
}

// endSessions signs out of one session, of all others, or of all.
func (p *Pages) endSessions(w http.ResponseWriter, r *http.Request, who person) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	if err := p.Edge.CheckCSRF(r, "sessions"); err != nil {
		return err
	}
	e := p.ownEvent(r, "", who)
	switch form.Get("all") {
	case "others":
		err = p.Acts.SignOutEverywhere(r.Context(), who.Account.ID, who.Session.ID, e)
	case "everywhere":
		if err = p.Acts.SignOutEverywhere(r.Context(), who.Account.ID, "", e); err == nil {
			p.Edge.Cookies.ClearSession(w)
			return see(w, "/signed-out")
		}
	default:
		return p.endOne(w, r, who, form.Get("id"), e)
	}
	if err != nil {
		return err
	}
	return see(w, "/account/sessions?done=session_ended")
}

// endOne ends a session of the same account; an id of anybody else's is as good as none.
func (p *Pages) endOne(w http.ResponseWriter, r *http.Request, who person, id string, e audit.Event) error {
	s, err := p.Store.Session(r.Context(), id)
	if err != nil || s.Account != who.Account.ID {
		if err != nil && !fault.Is(err, fault.Unauthenticated) {
			return err
		}
		return see(w, "/account/sessions")
	}
	if err := p.Acts.SignOut(r.Context(), s, e); err != nil {
		return err
	}
	if s.ID == who.Session.ID {
		p.Edge.Cookies.ClearSession(w)
		return see(w, "/signed-out")
	}
	return see(w, "/account/sessions?done=session_ended")
}

// apps lists what the person allowed.
func (p *Pages) apps(w http.ResponseWriter, r *http.Request, who person) error {
	list, err := p.Store.ConsentsOf(r.Context(), who.Account.ID)
	if err != nil {
		return err
	}
	page := ui.ConnectedApps{Base: p.ownBase(w, r, "apps", who)}
	for _, given := range byClient(list) {
		app := ui.ConnectedApp{ClientID: given[0].Client, Name: given[0].Client, Since: given[0].At}
		if c, err := p.Clients.Get(r.Context(), app.ClientID); err == nil {
			app.Name = c.Name
		}
		var scopes []string
		for _, g := range given {
			scopes = append(scopes, g.Scope)
		}
		if app.Groups, err = p.scopeGroups(r, p.lang(r, nil), scopes); err != nil {
			return err
		}
		page.Apps = append(page.Apps, app)
	}
	if name := r.URL.Query().Get("withdrawn"); name != "" {
		if c, err := p.Clients.Get(r.Context(), name); err == nil {
			page.Notice = ui.Say(ui.NoticeAppWithdrawn, "App", c.Name)
			page.Here = r.URL.Path
		}
	}
	return p.Show(w, r, http.StatusOK, page)
}

// withdraw takes back everything that an app was allowed: its grants end, its tokens die.
func (p *Pages) withdraw(w http.ResponseWriter, r *http.Request, who person) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	if err := p.Edge.CheckCSRF(r, "apps"); err != nil {
		return err
	}
	id := form.Get("client_id")
	e := p.ownEvent(r, "consent.withdrawn", who)
	e.Client = id
	err = p.commitOwn(r.Context(), who, unit.Unit{Writes: []unit.Write{grant.Withdraw{Account: who.Account.ID, Client: id, At: p.Clock.Now()}}, Event: e})
	if _, none := unit.ConflictIn[grant.Withdraw](err); none {
		return see(w, "/account/apps")
	}
	if err != nil {
		return err
	}
	return see(w, "/account/apps?withdrawn="+url.QueryEscape(id))
}

const activityRows = 25

func olderThan(t time.Time) string {
	return "/account/activity?before=" + url.QueryEscape(t.Format(time.RFC3339Nano))
}

// activity lists recent events.
func (p *Pages) activity(w http.ResponseWriter, r *http.Request, who person) error {
	before := time.Time{}
	if s := r.URL.Query().Get("before"); s != "" {
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return see(w, "/account/activity")
		}
		before = t
	}
	list, err := p.Store.EventsOf(r.Context(), who.Account.ID, before, 4*activityRows)
	if err != nil {
		return err
	}
	page := ui.Activity{Base: p.ownBase(w, r, "activity", who)}
	for i, e := range list {
		// what happened in one instant stays on one page: the next begins before it
		if len(page.Items) >= activityRows && !e.At.Equal(list[i-1].At) {
			page.OlderURL = olderThan(list[i-1].At)
			break
		}
		if slices.Contains(ui.ActivityTypes(), e.Type) {
			page.Items = append(page.Items, p.item(r, e))
		}
	}
	if page.OlderURL == "" && len(list) == 4*activityRows {
		page.OlderURL = olderThan(list[len(list)-1].At)
	}
	return p.Show(w, r, http.StatusOK, page)
}

func (p *Pages) item(r *http.Request, e audit.Stored) ui.ActivityItem {
	it := ui.ActivityItem{Type: e.Type, Refused: e.Outcome != audit.Allowed, At: e.At, IP: e.IP}
	if e.Client != "" {
		it.App = e.Client
		if c, err := p.Clients.Get(r.Context(), e.Client); err == nil {
			it.App = c.Name
		}
	}
	return it
}

// lastSignIn is the sign-in before the present one.
func (p *Pages) lastSignIn(r *http.Request, who person) (*ui.ActivityItem, error) {
	list, err := p.Store.EventsOf(r.Context(), who.Account.ID, who.Session.AuthTime.Add(-time.Second), 4*activityRows)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.Outcome == audit.Allowed && e.Session != "" && strings.HasPrefix(e.Type, "signin.") {
			it := p.item(r, e)
			return &it, nil
		}
	}
	return nil, nil
}
