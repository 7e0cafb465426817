package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/seed"
)

// person is somebody whom the driver plays: signed in at the provider, with an app that holds tokens.
type person struct {
	seed.Account
	cookies string // of the provider; empty: not signed in
	device  string // cookie of a browser that the provider knows
	perhaps string // password that was changed to, if that was done
	subject string // as the app knows it
	caseID  string

	families []*family // that the driver may use
	access   string    // the last access token that came
}

// family is a line of refresh tokens as the app sees it.
type family struct{ refresh, access string }

// driver plays people and a machine. Each person is played by one goroutine.
type driver struct {
	sys     *system
	ledger  *ledger
	signer  *signer
	mails   mails
	careful careful
	back    reader  // of the ledger
	kept    archive // of what the services keep

	mu      sync.Mutex
	broken  error       // of the driver itself: the run is worth nothing
	proofs  []proof     // the last that were shown
	spent   []spentCode // of the last seconds
	exposed []string    // accounts whose passwords others guess at
}

// newDriver returns a driver for a system that serves.
func newDriver(s *system, l *ledger) (*driver, error) {
	ctx, done := context.WithTimeout(context.Background(), startTime)
	defer done()
	k, err := registerSigner(ctx, s.cfg)
	if err != nil {
		return nil, err
	}
	d := &driver{sys: s, ledger: l, signer: k, back: reader{path: l.file.Name()}, mails: mails{links: map[string]string{}}}
	return d, d.enrol(ctx)
}

func (d *driver) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = err
}

// dice is a sequence of choices that a seed decides (SplitMix64).
type dice uint64

func (d *dice) roll(n int) int {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % uint64(n))
}

// load plays until ctx ends.
func (d *driver) load(ctx context.Context, from int) {
	var all sync.WaitGroup
	for i, p := range d.sys.people {
		all.Go(func() {
			choice := dice(from*1000 + i)
			client := newClient()
			for ctx.Err() == nil {
				d.step(client, p, &choice)
			}
		})
	}
	all.Wait()
}

// step does one thing. What was begun is ended even if the load ends meanwhile: an answer that nobody waits for is a loss of
// the driver's, not of the provider's.
func (d *driver) step(c *http.Client, p *person, choice *dice) {
	ctx := context.Background()
	d.enter(ctx, p)
	switch n := choice.roll(100); {
	case p.cookies == "":
	case n < 20 || len(p.families) == 0:
		d.signOn(ctx, c, p, choice)
	case n < 54:
		d.refresh(ctx, c, p, choice.roll(len(p.families)))
	case n < 60:
		d.revoke(ctx, c, p, choice)
	case n < 80:
		d.readCase(ctx, c, p, p.access)
	case n < 88:
		d.machine(ctx, c)
	default:
		d.rarely(ctx, c, p, choice)
	}
}

// rarely does one of the things that cost more.
func (d *driver) rarely(ctx context.Context, c *http.Client, p *person, choice *dice) {
	switch n := choice.roll(13); {
	case n < 3:
		d.prove(ctx, c, choice)
	case n == 12:
		d.proveFactor(ctx)
	case n < 5:
		d.signOut(ctx, c, p, choice)
	case n < 6:
		d.leave(ctx, c, p, choice)
	case n < 8:
		d.changePassword(ctx, c, p, choice)
	case n < 10:
		d.signUp(ctx, c, choice)
	default:
		d.guess(ctx, choice)
	}
}

// do sends one request and keeps it with its answer. shape reads what came into the record; what it returns is wrong with it.
func (d *driver) do(ctx context.Context, c *http.Client, r record, method, to string, form url.Values, shape func(agent.Answer, *record) string, header ...string) record {
	r.Began = time.Now()
	a, err := agent.Send(ctx, c, method, to, form, header...)
	r.Ended = time.Now()
	return d.keep(r, a, err, shape)
}

// keep keeps a request with its answer, or with what became of it.
func (d *driver) keep(r record, a agent.Answer, err error, shape func(agent.Answer, *record) string) record {
	if err != nil {
		r.Err = err.Error()
	} else {
		r.Status, r.Request = a.Status, a.Header.Get("X-Request-Id")
		if r.Wrong = misbehaved(a); r.Wrong == "" && a.Status < 400 {
			r.Wrong = shape(a, &r)
		}
	}
	if err := d.ledger.write(r); err != nil {
		d.fail(err)
	}
	if !r.answered() {
		time.Sleep(20 * time.Millisecond)
	}
	return r
}

// misbehaved says what no answer may be like: fail closed, and say when to come back (L8).
func misbehaved(a agent.Answer) string {
	text := string(a.Body)
	switch {
	case a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") == "":
		return "503 without Retry-After"
	case a.Status >= 500 && a.Status != http.StatusServiceUnavailable:
		return fmt.Sprintf("status %d: %.200s", a.Status, text)
	case strings.Contains(text, "goroutine ") || strings.Contains(text, "panic:") || strings.Contains(text, "SQLSTATE"):
		return fmt.Sprintf("it shows its inside: %.200s", text)
	}
	return ""
}

// signOn authorizes the app with the live session and redeems the code; now and then twice, which must kill what came of it.
func (d *driver) signOn(ctx context.Context, c *http.Client, p *person, choice *dice) {
	try := seed.NewAttempt()
	got := d.authorize(ctx, c, p, try, p.cookies)
	if got.Err == "login_required" {
		p.cookies = ""
	}
	if got.Code == "" {
		return
	}
	form := try.Redeem(got.Code)
	first := d.token(ctx, c, p, record{Op: opRedeem, Who: p.Email, Code: got.Code}, form)
	if first.Status == 0 || choice.roll(12) == 0 { // lost, or replayed on purpose: it must not work again
		d.token(ctx, c, p, record{Op: opRedeem, Who: p.Email, Code: got.Code}, form)
		return
	}
	if first.answered() {
		d.spend(p.Email, got.Code, p.access, form)
		p.families = append(p.families, &family{first.Refresh, p.access})
		if len(p.families) > 4 {
			p.families = p.families[1:]
		}
	}
}

// authorize asks for a code with the session that cookies hold.
func (d *driver) authorize(ctx context.Context, c *http.Client, p *person, try seed.Attempt, cookies string) record {
	r := record{Op: opAuthorize, Who: p.Email, Session: sessionOf(cookies)}
	return d.do(ctx, c, r, http.MethodGet, d.sys.issuer()+try.Target("none"), nil, func(a agent.Answer, r *record) string {
		code, refused, err := try.Response(a.Header.Get("Location"))
		if err != nil {
			return err.Error()
		}
		r.Code, r.Err = code, refused
		switch refused {
		case "", "temporarily_unavailable", "login_required", "consent_required":
			return ""
		}
		return "error " + refused
	}, "Cookie", cookies)
}

// token asks the token endpoint for the app.
func (d *driver) token(ctx context.Context, c *http.Client, p *person, r record, form url.Values) record {
	return d.do(ctx, c, r, http.MethodPost, d.sys.issuer()+"/token", form, func(a agent.Answer, r *record) string {
		t, err := seed.ReadTokens(a.Body, true)
		if err != nil {
			return fmt.Sprintf("%v: %.200s", err, a.Body)
		}
		access, err1 := read(t.Access)
		id, err2 := read(t.ID)
		if err1 != nil || err2 != nil || access.JTI == "" || id.Sub == "" {
			return "a token cannot be read"
		}
		r.JTI, r.Subject, r.Refresh = access.JTI, id.Sub, t.Refresh
		p.access = t.Access
		return ""
	}, "Authorization", d.sys.clients.Basic(seed.App))
}

// refresh renews a family. After a lost answer it asks again, as a client would: the same successor, or the end of the family.
func (d *driver) refresh(ctx context.Context, c *http.Client, p *person, i int) {
	f := p.families[i]
	for range 3 {
		got := d.token(ctx, c, p, record{Op: opRefresh, Who: p.Email, Shown: f.refresh}, seed.Renew(f.refresh))
		switch {
		case got.answered():
			f.refresh, f.access = got.Refresh, p.access
			return
		case got.Status == http.StatusBadRequest:
			p.families = append(p.families[:i:i], p.families[i+1:]...)
			return
		case got.Status != 0:
			return // it is not to be had now, and was not done
		}
	}
}

func (d *driver) revoke(ctx context.Context, c *http.Client, p *person, choice *dice) {
	i := choice.roll(len(p.families))
	f := p.families[i]
	d.readCase(ctx, c, p, f.access)
	got := d.do(ctx, c, record{Op: opRevoke, Who: p.Email, Shown: f.refresh}, http.MethodPost, d.sys.issuer()+"/revoke", url.Values{"token": {f.refresh}},
		anything, "Authorization", d.sys.clients.Basic(seed.App))
	if got.Status != 0 && !got.answered() {
		return
	}
	p.families = append(p.families[:i:i], p.families[i+1:]...)
	if !got.answered() {
		return
	}
	// What was revoked may never work again: at the provider from now on, at the API a second later.
	d.token(ctx, c, p, record{Op: opRefresh, Who: p.Email, Shown: f.refresh}, seed.Renew(f.refresh))
	if choice.roll(3) == 0 {
		time.Sleep(reach - time.Since(got.Ended) + time.Millisecond)
		d.readCase(ctx, c, p, f.access)
	}
}

func (d *driver) machine(ctx context.Context, c *http.Client) {
	d.askMachine(ctx, c, record{Op: opMachine}, seed.ForMachine(), "Authorization", d.sys.clients.Basic(seed.Machine))
}

func (d *driver) askMachine(ctx context.Context, c *http.Client, r record, form url.Values, header ...string) {
	d.do(ctx, c, r, http.MethodPost, d.sys.issuer()+"/token", form, func(a agent.Answer, r *record) string {
		t, err := seed.ReadTokens(a.Body, false)
		if err != nil {
			return err.Error()
		}
		access, err := read(t.Access)
		if err != nil {
			return err.Error()
		}
		r.JTI = access.JTI
		return ""
	}, header...)
}

// readCase reads the person's own case with an access token of the app. It may be refused: the grant may have been revoked.
func (d *driver) readCase(ctx context.Context, c *http.Client, p *person, access string) {
	if access == "" || p.caseID == "" {
		return
	}
	got, err := read(access)
	if err != nil {
		d.fail(err)
		return
	}
	d.do(ctx, c, record{Op: opCase, Who: p.Email, JTI: got.JTI}, http.MethodGet, d.sys.cfg.CaseAPI()+"/v1/cases/"+p.caseID, nil, func(a agent.Answer, r *record) string {
		var one struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(a.Body, &one); err != nil {
			return err.Error()
		}
		r.Subject = one.ID
		return ""
	}, "Authorization", "Bearer "+access)
}
