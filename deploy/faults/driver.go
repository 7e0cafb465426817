package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// person is somebody whom the driver plays: signed in at the provider, with an app that holds tokens.
type person struct {
	email, password string
	cookies         string // of the provider
	subject         string // as the app knows it
	caseID          string

	families []*family // that the driver may use
	access   string    // the last access token that came
}

// family is a line of refresh tokens as the app sees it.
type family struct{ refresh, access string }

// driver plays people and a machine. Each person is played by one goroutine.
type driver struct {
	sys    *system
	ledger *ledger
	fail   func(error) // of the driver itself: the run is worth nothing
	mu     sync.Mutex
	hurt   int // answers that were no success, of the present load
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
func (d *driver) load(ctx context.Context, seed int) {
	var all sync.WaitGroup
	for i, p := range d.sys.people {
		all.Go(func() {
			choice := dice(seed*1000 + i)
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
	switch n := choice.roll(100); {
	case p.cookies == "":
		if err := d.sys.signIn(ctx, p); err != nil {
			time.Sleep(100 * time.Millisecond)
		}
	case n < 25 || len(p.families) == 0:
		d.signOn(ctx, c, p, choice)
	case n < 65:
		d.refresh(ctx, c, p, choice.roll(len(p.families)))
	case n < 72:
		d.revoke(ctx, c, p, choice)
	case n < 85:
		d.machine(ctx, c)
	default:
		d.readCase(ctx, c, p, p.access)
	}
}

// do sends one request and keeps it with its answer. shape reads what came into the record; what it returns is wrong with it.
func (d *driver) do(ctx context.Context, c *http.Client, r record, method, to string, form url.Values, shape func(answer, *record) string, header ...string) record {
	r.Began = time.Now()
	a, err := send(ctx, c, method, to, form, header...)
	r.Ended = time.Now()
	if err != nil {
		r.Err = err.Error()
	} else {
		r.Status = a.status
		if r.Wrong = misbehaved(a); r.Wrong == "" && a.status < 400 {
			r.Wrong = shape(a, &r)
		}
	}
	if err := d.ledger.write(r); err != nil {
		d.fail(err)
	}
	if !r.answered() {
		d.mu.Lock()
		d.hurt++
		d.mu.Unlock()
		time.Sleep(20 * time.Millisecond)
	}
	return r
}

// misbehaved says what no answer may be like: fail closed, and say when to come back (L8).
func misbehaved(a answer) string {
	text := string(a.body)
	switch {
	case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") == "":
		return "503 without Retry-After"
	case a.status >= 500 && a.status != http.StatusServiceUnavailable:
		return fmt.Sprintf("status %d: %.200s", a.status, text)
	case strings.Contains(text, "goroutine ") || strings.Contains(text, "panic:") || strings.Contains(text, "SQLSTATE"):
		return fmt.Sprintf("it shows its inside: %.200s", text)
	}
	return ""
}

// signOn authorizes the app with the live session and redeems the code; now and then twice, which must kill what came of it.
func (d *driver) signOn(ctx context.Context, c *http.Client, p *person, choice *dice) {
	try := newAttempt()
	got := d.do(ctx, c, record{Op: opAuthorize, Who: p.email}, http.MethodGet, d.sys.issuer()+try.query("none"), nil, func(a answer, r *record) string {
		u, err := url.Parse(a.header.Get("Location"))
		if err != nil || u.Query().Get("state") != try.state {
			return fmt.Sprintf("no authorization response: %q", a.header.Get("Location"))
		}
		switch e := u.Query().Get("error"); e {
		case "":
			r.Code = u.Query().Get("code")
		case "login_required":
			r.Err = e
			p.cookies = ""
		case "temporarily_unavailable":
			r.Err = e
		default:
			return "error " + e
		}
		return ""
	}, "Cookie", p.cookies)
	if got.Code == "" {
		return
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {got.Code}, "redirect_uri": {redirect}, "code_verifier": {try.verifier}}
	first := d.token(ctx, c, p, record{Op: opRedeem, Who: p.email, Code: got.Code}, form)
	if first.Status == 0 || choice.roll(12) == 0 { // lost, or replayed on purpose: it must not work again
		d.token(ctx, c, p, record{Op: opRedeem, Who: p.email, Code: got.Code}, form)
		return
	}
	if first.answered() {
		p.families = append(p.families, &family{first.Refresh, p.access})
		if len(p.families) > 4 {
			p.families = p.families[1:]
		}
	}
}

// token asks the token endpoint for the app.
func (d *driver) token(ctx context.Context, c *http.Client, p *person, r record, form url.Values) record {
	return d.do(ctx, c, r, http.MethodPost, d.sys.issuer()+"/token", form, func(a answer, r *record) string {
		var t tokens
		if err := json.Unmarshal(a.body, &t); err != nil || t.Access == "" || t.Refresh == "" || t.ID == "" {
			return fmt.Sprintf("a token is missing: %.200s", a.body)
		}
		access, err1 := read(t.Access)
		id, err2 := read(t.ID)
		if err1 != nil || err2 != nil || access.JTI == "" || id.Sub == "" {
			return "a token cannot be read"
		}
		r.JTI, r.Subject, r.Refresh = access.JTI, id.Sub, t.Refresh
		p.access = t.Access
		return ""
	}, "Authorization", d.sys.basic(app))
}

// refresh renews a family. After a lost answer it asks again, as a client would: the same successor, or the end of the family.
func (d *driver) refresh(ctx context.Context, c *http.Client, p *person, i int) {
	f := p.families[i]
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {f.refresh}}
	for range 3 {
		got := d.token(ctx, c, p, record{Op: opRefresh, Who: p.email, Shown: f.refresh}, form)
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
	got := d.do(ctx, c, record{Op: opRevoke, Who: p.email, Shown: f.refresh}, http.MethodPost, d.sys.issuer()+"/revoke", url.Values{"token": {f.refresh}},
		func(answer, *record) string { return "" }, "Authorization", d.sys.basic(app))
	if got.Status != 0 && !got.answered() {
		return
	}
	p.families = append(p.families[:i:i], p.families[i+1:]...)
	if !got.answered() {
		return
	}
	// What was revoked may never work again: at the provider from now on, at the API a second later.
	d.token(ctx, c, p, record{Op: opRefresh, Who: p.email, Shown: f.refresh}, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {f.refresh}})
	if choice.roll(3) == 0 {
		time.Sleep(reach - time.Since(got.Ended) + time.Millisecond)
		d.readCase(ctx, c, p, f.access)
	}
}

func (d *driver) machine(ctx context.Context, c *http.Client) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"cases:stats"}}
	d.do(ctx, c, record{Op: opMachine}, http.MethodPost, d.sys.issuer()+"/token", form, func(a answer, r *record) string {
		var t tokens
		if err := json.Unmarshal(a.body, &t); err != nil {
			return err.Error()
		}
		access, err := read(t.Access)
		if err != nil {
			return err.Error()
		}
		r.JTI = access.JTI
		return ""
	}, "Authorization", d.sys.basic(machine))
}

// readCase reads the person's own case with an access token of the app. It may be refused: the grant may have been revoked.
func (d *driver) readCase(ctx context.Context, c *http.Client, p *person, access string) {
	if access == "" {
		return
	}
	got, err := read(access)
	if err != nil {
		d.fail(err)
		return
	}
	d.do(ctx, c, record{Op: opCase, Who: p.email, JTI: got.JTI}, http.MethodGet, d.sys.cfg.CaseAPI()+"/v1/cases/"+p.caseID, nil, func(a answer, r *record) string {
		var one struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(a.body, &one); err != nil {
			return err.Error()
		}
		r.Subject = one.ID
		return ""
	}, "Authorization", "Bearer "+access)
}

func basic(client, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(client+":"+secret))
}
