package pages

import (
	"context"
	"errors"
	"net/http"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/unit"
	"ellis.example/idp/internal/web"
)

// proof is what was just proven.
type proof struct {
	acr string
	amr []string // sorted
}

var (
	byPassword = proof{session.AAL1, []string{session.AMRPassword}}
	byTOTP     = proof{session.AAL2, []string{session.AMRMultiple, session.AMRTOTP, session.AMRPassword}}
	byRecovery = proof{session.AAL2, []string{session.AMRMultiple, session.AMRPassword}}
)

// begun is a session on its way: the writes that make it, and the cookies that go out when they are durable.
type begun struct {
	session session.Session
	cookie  string
	device  string
	known   bool // the account signed in from this browser before
	writes  []unit.Write
}

// begin makes a session for an account out of a proof. The session that the browser has for the same account is renewed
// and keeps its id; any other stays as it is, and the browser gets a new one. Either way the cookie is new.
func (p *Pages) begin(r *http.Request, a account.Account, pr proof) (begun, error) {
	now, info := p.Clock.Now(), web.Info(r.Context())
	b := begun{cookie: ident.NewToken(ident.SessionCookie)}
	device, err := p.device(r, a, now, &b)
	if err != nil {
		return b, err
	}
	b.writes = append(b.writes, session.Know{Device: device})
	s := session.Session{ID: ident.New("ses"), Account: a.ID, CreatedAt: now}
	old, err := p.ownSession(r, a, now)
	if err != nil {
		return b, err
	}
	if old.ID != "" {
		s = old
	}
	s.Device, s.AuthTime, s.LastSeen, s.UserAgent, s.IP = device.ID, now, now, info.UserAgent, info.IP
	s.ACR, s.AMR = pr.acr, pr.amr
	if pr.acr == session.AAL2 {
		s.FactorTime = now
	}
	b.session = s
	if old.ID != "" {
		b.writes = append(b.writes, session.Renew{Session: s, Old: ident.Hash(p.Edge.Cookies.Session(r)), New: ident.Hash(b.cookie)})
	} else {
		b.writes = append(b.writes, session.Start{Session: s, Cookie: ident.Hash(b.cookie)})
	}
	return b, nil
}

// renew is begin for somebody who is signed in and changes how the account is protected: that proves no secret that was
// there before, so auth_time stays, and a second factor counts as proven anew only if it is the first. When their session
// has ended meanwhile nothing takes its place: what it had proven is gone with it. Errors: session.ErrNotFound.
func (p *Pages) renew(r *http.Request, who person, pr proof) (begun, error) {
	b, err := p.begin(r, who.Account, pr)
	if err != nil {
		return b, err
	}
	if b.session.ID != who.Session.ID {
		return b, session.ErrNotFound
	}
	b.session.AuthTime = who.Session.AuthTime
	if !who.Session.FactorTime.IsZero() {
		b.session.FactorTime = who.Session.FactorTime
	}
	for i, wr := range b.writes {
		if renew, ok := wr.(session.Renew); ok {
			renew.Session = b.session
			b.writes[i] = renew
		}
	}
	return b, nil
}

// endedMeanwhile reports whether err says that the session of a request ended, or went on with another cookie, while the
// request was under way.
func endedMeanwhile(err error) bool {
	_, touched := unit.ConflictIn[session.Touch](err)
	_, renewed := unit.ConflictIn[session.Renew](err)
	return touched || renewed || errors.Is(err, session.ErrNotFound)
}

// commitOwn commits what a person does to their account, on the condition that their session has not ended meanwhile.
func (p *Pages) commitOwn(ctx context.Context, who person, u unit.Unit) error {
	u.Writes = append([]unit.Write{session.Touch{ID: who.Session.ID, At: p.Clock.Now()}}, u.Writes...)
	return p.Commit.Commit(ctx, u)
}

// ownSession returns the living session that this browser has for the account, or a zero one.
func (p *Pages) ownSession(r *http.Request, a account.Account, now time.Time) (session.Session, error) {
	cookie := p.Edge.Cookies.Session(r)
	if cookie == "" {
		return session.Session{}, nil
	}
	s, err := p.Store.SessionByCookie(r.Context(), ident.Hash(cookie))
	if errors.Is(err, session.ErrNotFound) || (err == nil && (s.Account != a.ID || !s.Alive(now))) {
		return session.Session{}, nil
	}
	return s, err
}

// device recognises the browser, or gives it a cookie to be recognised by.
func (p *Pages) device(r *http.Request, a account.Account, now time.Time, b *begun) (session.Device, error) {
	d := session.Device{ID: ident.New("dev"), Account: a.ID, UserAgent: web.Info(r.Context()).UserAgent, FirstSeen: now, LastSeen: now}
	b.device = p.Edge.Cookies.Device(r)
	if b.device == "" {
		b.device = ident.NewToken(ident.DeviceCookie)
		d.Cookie = ident.Hash(b.device)
		return d, nil
	}
	d.Cookie = ident.Hash(b.device)
	old, err := p.Store.Device(r.Context(), a.ID, d.Cookie)
	switch {
	case errors.Is(err, session.ErrNoDevice):
		return d, nil
	case err != nil:
		return d, err
	}
	b.known = true
	old.UserAgent, old.LastSeen = d.UserAgent, now
	return old, nil
}

// knownDevice reports whether the account signed in from this browser before. It asks for nobody's account, too: what a name
// costs does not tell whether somebody has it.
func (p *Pages) knownDevice(r *http.Request, accountID string) (bool, error) {
	token := p.Edge.Cookies.Device(r)
	if token == "" {
		return false, nil
	}
	d, err := p.Store.Device(r.Context(), accountID, ident.Hash(token))
	if errors.Is(err, session.ErrNoDevice) {
		return false, nil
	}
	return err == nil && p.Clock.Now().Before(d.LastSeen.Add(session.DeviceLifetime)), err
}

// browser names the browser of a request for limits, if somebody signed in from it before.
func (p *Pages) browser(r *http.Request) func(context.Context) (string, error) {
	return session.Browser(p.Store, p.Edge.Cookies.Device(r), p.Clock.Now())
}

// hand gives the browser its cookies. It is called when the session is durable.
func (p *Pages) hand(w http.ResponseWriter, b begun) {
	p.Edge.Cookies.SetSession(w, b.cookie)
	p.Edge.Cookies.SetDevice(w, b.device, session.DeviceLifetime)
	p.Edge.Cookies.ClearSignin(w)
}

// commitSession makes a session durable with what else belongs to the step, tells the owner of a browser that is new,
// and hands out the cookies.
func (p *Pages) commitSession(w http.ResponseWriter, r *http.Request, a account.Account, b begun, first bool, e audit.Event, more ...unit.Write) error {
	e.Actor, e.Account, e.Session, e.Device = a.ID, a.ID, b.session.ID, b.session.Device
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	e.Detail["acr"] = b.session.ACR
	writes := append(more, b.writes...)
	if !b.known && !first {
		q, err := p.mail(a, ui.MailNewDeviceSignIn{MailBase: p.mailBase(a), Where: p.where(r)})
		if err != nil {
			return err
		}
		writes = append(writes, q)
		defer p.Wake()
	}
	if err := p.Commit.Commit(r.Context(), unit.Unit{Writes: writes, Event: e}); err != nil {
		return err
	}
	p.hand(w, b)
	return nil
}

// touch notes that a session is in use, at most once a minute.
func (p *Pages) touch(ctx context.Context, s session.Session) error {
	now := p.Clock.Now()
	if !s.NeedsTouch(now) {
		return nil
	}
	return p.Commit.Commit(ctx, unit.Unit{Writes: []unit.Write{session.Touch{ID: s.ID, At: now}}})
}
