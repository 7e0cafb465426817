package e2e

import (
	"crypto/rand"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

var (
	headingText = regexp.MustCompile(`(?s)<h1[^>]*>(.*?)</h1>`)
	secretText  = regexp.MustCompile(`(?s)id="secret"[^>]*>([A-Z2-7 ]+)<`)
	codesList   = regexp.MustCompile(`(?s)<ul class="ellis-codes"[^>]*>(.*?)</ul>`)
	codeItem    = regexp.MustCompile(`<li>([^<]+)</li>`)
	anyTag      = regexp.MustCompile(`<[^>]*>`)
)

// textOf is the text of the first group of a pattern, without tags and folded.
func textOf(re *regexp.Regexp, page string) string {
	m := re.FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return strings.Join(strings.Fields(html.UnescapeString(anyTag.ReplaceAllString(m[1], " "))), " ")
}

// person is somebody who uses the system.
type person struct {
	t               *testing.T
	Email, Password string
	Given, Family   string
	Locale          string
	app             *authenticator
	Recovery        []string
}

// newPerson is somebody whom nobody knows yet.
func newPerson(t *testing.T, locale string) *person {
	t.Helper()
	id := strings.ToLower(rand.Text())
	p := &person{t: t, Email: "e2e-" + id[:12] + "@example.com", Password: "quiet-" + id[12:24] + "-harbor", Given: "Noor", Family: "Haddad " + lettersOnly(id), Locale: locale}
	secrets.add("password", p.Password)
	return p
}

// lettersOnly is what may stand in a name.
func lettersOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return 'x'
		}
		return r
	}, s)[:8]
}

// authenticator is the app that shows one-time codes.
type authenticator struct {
	t      *testing.T
	secret string
	last   int64 // the step whose code was shown last
}

func newAuthenticator(t *testing.T, secret string) *authenticator {
	secret = strings.ReplaceAll(secret, " ", "")
	secrets.add("TOTP secret", secret)
	return &authenticator{t: t, secret: secret}
}

const (
	totpStep = 30 * time.Second
	totpEdge = 4 * time.Second // what a code may need from the app to its check
)

// code shows a code that was not used yet. Each step counts once, and one step of skew is allowed: three codes are to be
// had at any time, and only the fourth has to wait.
func (a *authenticator) code() string {
	a.t.Helper()
	for {
		now := time.Now()
		step := now.Unix() / int64(totpStep/time.Second)
		left := totpStep - time.Duration(now.UnixNano())%totpStep
		next := step - 1
		if left < totpEdge { // by the time it is checked, it may be two steps old
			next = step
		}
		if next = max(next, a.last+1); next <= step+1 {
			a.last = next
			return a.at(next)
		}
		time.Sleep(left)
	}
}

func (a *authenticator) at(step int64) string {
	a.t.Helper()
	code, err := hotp.GenerateCodeCustom(a.secret, uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		a.t.Fatal(err)
	}
	secrets.add("one-time code", code)
	return code
}

// mailed is a mail in the demo's mailbox.
type mailed struct {
	To, Subject, Text string
	Links             []string
}

// mail waits until an address has more than have mails, and returns the newest.
func mail(t *testing.T, to string, have int) mailed {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		if list := mails(t, to); len(list) > have {
			return list[0]
		}
		if time.Now().After(deadline) {
			t.Fatalf("no mail came to %s", to)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func mails(t *testing.T, to string) []mailed {
	t.Helper()
	resp, err := http.Get(demo.Mailbox + "/messages.json?to=" + url.QueryEscape(to))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list []mailed
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// link is the mailed link that leads to a path.
func (m mailed) link(t *testing.T, to string) string {
	t.Helper()
	for _, l := range m.Links {
		if u, err := url.Parse(l); err == nil && strings.HasPrefix(u.Path, to) {
			secrets.add("mailed link", u.Query().Get("token"))
			return l
		}
	}
	t.Fatalf("mail %q has no link to %s: %v", m.Subject, to, m.Links)
	return ""
}

// at fails unless the visitor is on a page with the path.
func at(t *testing.T, v visitor, want string) {
	t.Helper()
	u, err := url.Parse(v.URL())
	if err != nil || path.Clean(u.Path) != want {
		t.Fatalf("at %s (%d), want %s: %s", v.URL(), v.Status(), want, short(v.Text()))
	}
}

// details are what the second page of a sign-up asks for.
func (p *person) details() map[string]string {
	return map[string]string{
		"given_name": p.Given, "family_name": p.Family, "birth_month": "4", "birth_day": "17", "birth_year": "1990",
		"country": "MX", "locale": p.Locale, "password": p.Password,
	}
}

// proveAddress walks from the first page of the sign-up to the second.
func (p *person) proveAddress(v visitor) {
	p.t.Helper()
	at(p.t, v, "/signup")
	before := len(mails(p.t, p.Email))
	v.Submit("", map[string]string{"email": p.Email})
	at(p.t, v, "/signup/check")
	v.Open(mail(p.t, p.Email, before).link(p.t, "/signup/continue"))
	v.Submit("/signup/continue", nil)
}

// signUp walks from the first page of the sign-up to the end of the second, where a second factor is offered.
func (p *person) signUp(v visitor) {
	p.t.Helper()
	p.proveAddress(v)
	at(p.t, v, "/signup/details")
	v.Submit("", p.details())
	at(p.t, v, "/signin/offer")
}

// enrol walks through the enrolment of an authenticator app and of recovery codes.
func (p *person) enrol(v visitor) {
	p.t.Helper()
	secret := textOf(secretText, v.HTML())
	if secret == "" {
		p.t.Fatalf("%s shows no secret: %s", v.URL(), short(v.Text()))
	}
	p.app = newAuthenticator(p.t, secret)
	v.Submit("", map[string]string{"code": p.app.code()})
	list := codesList.FindStringSubmatch(v.HTML())
	if list == nil {
		p.t.Fatalf("%s shows no recovery codes: %s", v.URL(), short(v.Text()))
	}
	for _, m := range codeItem.FindAllStringSubmatch(list[1], -1) {
		p.Recovery = append(p.Recovery, m[1])
		secrets.add("recovery code", m[1])
	}
	if len(p.Recovery) != 10 {
		p.t.Errorf("%d recovery codes are shown", len(p.Recovery))
	}
	v.Submit("saved", nil)
}

// signIn walks through password and, for who has one, second factor.
func (p *person) signIn(v visitor) {
	p.t.Helper()
	at(p.t, v, "/signin")
	v.Submit("", map[string]string{"identifier": p.Email, "password": p.Password})
	if p.app != nil {
		at(p.t, v, "/signin/factor")
		v.Submit("", map[string]string{"code": p.app.code()})
	}
}

// settle makes an account with or without a second factor, quickly, and leaves the visitor on the account page.
func (p *person) settle(v visitor, factor bool) {
	p.t.Helper()
	v.Open(demo.Issuer + "/signup")
	p.signUp(v)
	if !factor {
		v.Open(demo.Issuer + "/account")
		return
	}
	v.Follow("/account/factors/enrol")
	p.enrol(v)
	at(p.t, v, "/account/factors")
}

// short is the beginning of what a page says, for a failure.
func short(text string) string {
	if len(text) > 800 {
		return strings.ToValidUTF8(text[:800], "") + "…"
	}
	return text
}
