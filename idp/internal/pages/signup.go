package pages

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/i18n"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

const (
	mailsPerHour   = 5 // to one address
	signupLifetime = 30 * time.Minute
)

// signup is a sign-up on its way. It lives in a sealed cookie of the browser that began it, so that nobody can prepare an
// account for somebody else, and nothing is stored for who never comes back.
type signup struct {
	Email  string    `json:"e"`
	Link   []byte    `json:"l,omitempty"` // hash of the link that proved the address; empty: not proven
	Flow   string    `json:"f,omitempty"`
	Till   time.Time `json:"t"`
	Resent bool      `json:"r,omitempty"`
}

func (s signup) proven() bool { return len(s.Link) == 32 }

const signupOwner = "sign-up cookie"

func (p *Pages) setSignup(w http.ResponseWriter, s signup) error {
	s.Till = p.Clock.Now().Add(signupLifetime)
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	sealed, err := p.Seal.Seal(body, signupOwner)
	if err != nil {
		return err
	}
	p.Edge.Cookies.SetSignup(w, base64.RawURLEncoding.EncodeToString(sealed), signupLifetime)
	return nil
}

// signupOf reads the cookie. An old or foreign one is none.
func (p *Pages) signupOf(r *http.Request) (s signup, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(p.Edge.Cookies.Signup(r))
	if err != nil || len(raw) == 0 {
		return signup{}, false
	}
	body, err := p.Seal.Open(raw, signupOwner)
	if err != nil || json.Unmarshal(body, &s) != nil || !p.Clock.Now().Before(s.Till) {
		return signup{}, false
	}
	return s, true
}

// signupStart asks for the address alone.
func (p *Pages) signupStart(w http.ResponseWriter, r *http.Request) error {
	return p.showSignupStart(w, r, http.StatusOK, "")
}

func (p *Pages) showSignupStart(w http.ResponseWriter, r *http.Request, status int, email string, errs ...ui.FieldError) error {
	b := p.base(w, r, "signup")
	b.Errors = errs
	if status != http.StatusOK {
		b.Here = path("/signup", r.URL.Query().Get("flow"))
	}
	return p.Show(w, r, status, ui.SignupStart{Base: b, Email: email, SigninURL: path("/signin", r.URL.Query().Get("flow"))})
}

// signupMail sends a mail to the address, whether it is known or not: the page and the time it takes tell nothing, and
// only the mail differs.
func (p *Pages) signupMail(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	typed := strings.TrimSpace(form.Get("email"))
	if err := p.Edge.CheckCSRF(r, "signup"); err != nil {
		return p.showSignupStart(w, r, http.StatusForbidden, typed, ui.Wrong("", ui.ErrFormExpired))
	}
	if typed == "" {
		return p.showSignupStart(w, r, http.StatusUnprocessableEntity, typed, ui.Wrong("email", ui.ErrEmailRequired))
	}
	email, canonical, err := account.Address(typed)
	if err != nil {
		return p.showSignupStart(w, r, http.StatusUnprocessableEntity, typed, ui.Wrong("email", ui.ErrEmailFormat))
	}
	flowID := r.URL.Query().Get("flow")
	if flowID != "" && !ident.Valid("flw", flowID) {
		flowID = ""
	}
	if err := p.Networks.Take(r.Context(), throttle.SignUpMail, web.Info(r.Context()).IP); err != nil {
		return err
	}
	if err := p.sendSignup(r, email, canonical, flowID); err != nil {
		return err
	}
	before, again := p.signupOf(r)
	if err := p.setSignup(w, signup{Email: email, Flow: flowID, Resent: again && before.Email == email}); err != nil {
		return err
	}
	return see(w, path("/signup/check", flowID))
}

// sendSignup queues the mail. Both cases read, seal and write the same.
func (p *Pages) sendSignup(r *http.Request, email, canonical, flowID string) error {
	ctx, now, lang := r.Context(), p.Clock.Now(), p.lang(r, nil)
	owner, err := p.Store.AccountByIdentifier(ctx, canonical)
	taken := err == nil
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return err
	}
	e := p.event(r, "signup.requested", audit.Allowed, "")
	token := ident.NewToken(ident.MailLink)
	link := account.Link{Hash: ident.Hash(token), Purpose: account.SignUp, Email: email, Canonical: canonical, Lang: string(lang), Flow: flowID, At: now, ExpiresAt: now.Add(account.LinkLifetime)}
	var m ui.MailMessage = ui.MailConfirmAddress{MailBase: ui.MailBase{Email: email, HelpURL: p.url("/help"), AccountURL: p.url("/account")},
		LinkURL: p.url("/signup/continue?token=" + token), Valid: account.LinkLifetime}
	if taken {
		e.Account, e.Reason = owner.ID, "address_has_account"
		email = owner.Email
		if l, ok := i18n.Parse(owner.Locale); ok {
			lang = l
		}
		m = ui.MailAlreadyHaveAccount{MailBase: p.mailBase(owner), SigninURL: p.url("/signin"), Where: p.where(r)}
	}
	q, err := p.compose(e.Account, email, lang, m, account.LinkLifetime)
	if err != nil {
		return err
	}
	q.Limit = p.Networks.MailQueue()
	issue := account.IssueLink{Link: link, Limit: mailsPerHour, Since: now.Add(-time.Hour)}
	err = p.Commit.Commit(ctx, unit.Unit{Writes: []unit.Write{issue, q}, Event: e})
	if _, many := unit.ConflictIn[account.IssueLink](err); many {
		e.Outcome, e.Reason = audit.Refused, "too_many_mails"
		return p.Strangers.Refused(ctx, e)
	}
	if _, full := unit.ConflictIn[notify.Queue](err); full {
		return throttle.ErrMailBound.After(throttle.MailPause)
	}
	p.Wake()
	return err
}

// signupCheck says that a mail is on its way.
func (p *Pages) signupCheck(w http.ResponseWriter, r *http.Request) error {
	s, ok := p.signupOf(r)
	if !ok {
		return see(w, "/signup")
	}
	if s.proven() {
		return see(w, path("/signup/details", s.Flow))
	}
	b := p.base(w, r, "signup")
	if s.Resent {
		b.Notice = ui.Say(ui.NoticeMailResent)
	}
	return p.Show(w, r, http.StatusOK, ui.CheckMail{Base: b, Email: s.Email, ResendURL: path("/signup", s.Flow), ChangeURL: path("/signup", s.Flow), Resent: s.Resent})
}

// signupLanding is what the mailed link opens. It only looks: mail scanners open links too.
func (p *Pages) signupLanding(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	link, err := p.liveLink(r, token)
	if errors.Is(err, account.ErrLinkDead) {
		return p.linkDead(w, r, link)
	}
	if err != nil {
		return err
	}
	b := p.base(w, r, "signup-prove")
	b.Here = "/signup/continue"
	b.LanguageBack = r.URL.RequestURI()
	return p.show(w, r, p.linkLang(r, link), http.StatusOK, ui.LinkLanding{Base: b, Email: link.Email, Token: token})
}

// linkLang is the language of the page that a link was asked for from, unless this browser's owner chose another.
func (p *Pages) linkLang(r *http.Request, link account.Link) i18n.Lang {
	if l, ok := i18n.Parse(link.Lang); ok && p.Edge.Cookies.Lang(r) == "" {
		return l
	}
	return p.lang(r, nil)
}

// liveLink reads a link that may still be used. Errors: account.ErrLinkDead, with what is known of the link.
func (p *Pages) liveLink(r *http.Request, token string) (account.Link, error) {
	if !ident.IsToken(ident.MailLink, token) {
		return account.Link{}, account.ErrLinkDead
	}
	link, err := p.Store.Link(r.Context(), ident.Hash(token))
	if err != nil {
		return account.Link{}, err
	}
	if link.Purpose != account.SignUp || !link.SpentAt.IsZero() || !p.Clock.Now().Before(link.ExpiresAt) || clock.Future(link.At, p.Clock.Now()) {
		return link, account.ErrLinkDead
	}
	return link, nil
}

func (p *Pages) linkDead(w http.ResponseWriter, r *http.Request, link account.Link) error {
	state := ui.LinkUnknown
	switch {
	case !link.SpentAt.IsZero():
		state = ui.LinkUsed
	case link.Email != "":
		state = ui.LinkExpired
	}
	b := p.base(w, r, "signup")
	b.Here = "/signup"
	return p.show(w, r, p.linkLang(r, link), http.StatusGone, ui.LinkDead{Base: b, State: state, Email: link.Email, ResendURL: path("/signup", link.Flow), SigninURL: path("/signin", link.Flow)})
}

// signupProve spends the link: the address is proven to the browser that pressed the button, and to no other.
func (p *Pages) signupProve(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	token := form.Get("token")
	if err := p.Edge.CheckCSRF(r, "signup-prove"); err != nil {
		return see(w, "/signup/continue?token="+url.QueryEscape(token))
	}
	link, err := p.liveLink(r, token)
	if err == nil {
		err = p.Commit.Commit(r.Context(), unit.Unit{
			Writes: []unit.Write{account.SpendLink{Hash: link.Hash, Purpose: account.SignUp, At: p.Clock.Now()}},
			Event:  p.event(r, "signup.address_proven", audit.Allowed, ""),
		})
	}
	if unit.IsConflict(err) || errors.Is(err, account.ErrLinkDead) {
		link, again := p.liveLink(r, token)
		if again != nil && !errors.Is(again, account.ErrLinkDead) {
			return again
		}
		return p.linkDead(w, r, link)
	}
	if err != nil {
		return err
	}
	if err := p.setSignup(w, signup{Email: link.Email, Link: link.Hash[:], Flow: link.Flow}); err != nil {
		return err
	}
	return see(w, path("/signup/details", link.Flow))
}

var errSignupGone = fault.New(fault.Gone, "signup_expired", "too much time has passed; begin again with your e-mail address")
