package main

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/mail"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"ellis.example/idp/internal/notify"
)

// peopleWorld is a world whose mail arrives.
type peopleWorld struct {
	*world
	box *peopleBox
}

func newPeople(t *testing.T, change ...func(*settings)) *peopleWorld {
	t.Helper()
	return embedded.people(t, change...)
}

// people is world whose mail arrives.
func (k kind) people(t *testing.T, change ...func(*settings)) *peopleWorld {
	t.Helper()
	box := newPeopleBox(t)
	relay, err := notify.NewRelay("smtp://"+box.addr, "Ellis <no-reply@example.org>")
	if err != nil {
		t.Fatal(err)
	}
	w := k.world(t, append([]func(*settings){func(s *settings) { s.relay = relay }}, change...)...)
	return &peopleWorld{w, box}
}

// peopleMail is a mail as it arrived.
type peopleMail struct {
	to         []string // of the envelope
	header     mail.Header
	raw        string
	subject    string
	text, html string
}

// peopleBox is an SMTP server that keeps what it gets.
type peopleBox struct {
	addr string
	down atomic.Bool // answers 421 to everybody
	mu   sync.Mutex
	got  []peopleMail
}

func newPeopleBox(t *testing.T) *peopleBox {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &peopleBox{addr: l.Addr().String()}
	t.Cleanup(func() { _ = l.Close() }) // only a test's end
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(textproto.NewConn(c))
		}
	}()
	return b
}

func (b *peopleBox) serve(c *textproto.Conn) {
	defer c.Close()
	if b.down.Load() {
		_ = c.PrintfLine("421 not now")
		return
	}
	_ = c.PrintfLine("220 box ready")
	var to []string
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(line[:min(4, len(line))]); verb {
		case "EHLO":
			_ = c.PrintfLine("250-box\r\n250-8BITMIME\r\n250 SMTPUTF8")
		case "RCPT":
			to = append(to, strings.Trim(strings.SplitN(line, ":", 2)[1], "<> "))
			_ = c.PrintfLine("250 ok")
		case "DATA":
			_ = c.PrintfLine("354 go on")
			raw, err := c.ReadDotBytes()
			if err != nil {
				return
			}
			b.keep(to, raw)
			to = nil
			_ = c.PrintfLine("250 kept")
		case "QUIT":
			_ = c.PrintfLine("221 bye")
			return
		default:
			_ = c.PrintfLine("250 ok")
		}
	}
}

func (b *peopleBox) keep(to []string, raw []byte) {
	m := peopleMail{to: to, raw: string(raw)}
	if msg, err := mail.ReadMessage(bufio.NewReader(bytes.NewReader(raw))); err == nil {
		m.header = msg.Header
		m.subject, _ = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
		_, params, _ := mime.ParseMediaType(msg.Header.Get("Content-Type"))
		parts := multipart.NewReader(msg.Body, params["boundary"])
		for p, err := parts.NextRawPart(); err == nil; p, err = parts.NextRawPart() {
			body, _ := io.ReadAll(quotedprintable.NewReader(p))
			if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
				m.html = string(body)
			} else {
				m.text = string(body)
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, m)
}

// mails delivers what is due and returns everything that ever arrived.
func (w *peopleWorld) mails() []peopleMail {
	w.Helper()
	for {
		n, err := w.p.mailer.Once(w.Context())
		w.must(err)
		if n == 0 {
			break
		}
	}
	w.box.mu.Lock()
	defer w.box.mu.Unlock()
	return slices.Clone(w.box.got)
}

// mailTo returns the last mail to an address.
func (w *peopleWorld) mailTo(to string) peopleMail {
	w.Helper()
	all := w.mails()
	for i := len(all) - 1; i >= 0; i-- {
		if slices.Equal(all[i].to, []string{to}) {
			return all[i]
		}
	}
	w.Fatalf("no mail to %s in %d", to, len(all))
	return peopleMail{}
}

// told returns the mails to an address with a subject. Those of one instant arrive in any order.
func (w *peopleWorld) told(to, subject string) (out []peopleMail) {
	w.Helper()
	for _, m := range w.mails() {
		if m.subject == subject && slices.Equal(m.to, []string{to}) {
			out = append(out, m)
		}
	}
	return out
}

var peopleLink = regexp.MustCompile(`https?://[^\s"<>]+/signup/continue\?token=([A-Za-z0-9_-]+)`)

// linkTo returns the path of the sign-up link in the last mail to an address.
func (w *peopleWorld) linkTo(to string) string {
	w.Helper()
	m := peopleLink.FindStringSubmatch(w.mailTo(to).text)
	if m == nil {
		w.Fatalf("no link in the mail to %s", to)
	}
	return "/signup/continue?token=" + m[1]
}

// peopleDetails are good particulars; pairs replace some.
func peopleDetails(pairs ...string) []string {
	out := []string{
		"given_name", "Mia", "family_name", "Berg", "birth_month", "3", "birth_day", "9", "birth_year", "1984", "country", "NO", "locale", "en", "username", "",
		"password", pass,
	}
	for i := 0; i < len(pairs); i += 2 {
		if at := slices.Index(out, pairs[i]); at >= 0 && at%2 == 0 {
			out[at+1] = pairs[i+1]
			continue
		}
		out = append(out, pairs[i], pairs[i+1])
	}
	return out
}

// prove brings a browser to the page for particulars.
func (w *peopleWorld) prove(b *browser, email string) *page {
	w.Helper()
	b.get("/signup").submit("email", email)
	return b.get(w.linkTo(email)).press("token", "")
}

// signUp opens an account.
func (w *peopleWorld) signUp(b *browser, email string, pairs ...string) *page {
	w.Helper()
	return w.prove(b, email).submit(peopleDetails(pairs...)...)
}

// press sends the form that has a field or button, as it stands but for that one value.
func (p *page) press(field, value string) *page {
	p.b.w.Helper()
	f := p.form(field, value)
	if f == nil {
		p.b.w.Fatalf("%s has no form with %s=%s (status %d): %s", p.url.Path, field, value, p.status, p.text())
	}
	if value != "" {
		return f.send(p, field, value)
	}
	return f.send(p)
}

// formTo returns the form of a page that goes to an address.
func (p *page) formTo(action string) *form {
	p.b.w.Helper()
	for i := range p.forms {
		if p.forms[i].action == action {
			return &p.forms[i]
		}
	}
	p.b.w.Fatalf("%s has no form to %s (status %d): %s", p.url.Path, action, p.status, p.text())
	return nil
}

// leave presses the button of the page that asks whether to sign out.
func (b *browser) leave() {
	b.w.Helper()
	p := b.get("/signout")
	p.formTo("/signout").send(p)
}

// once sends one request and follows nothing.
func (b *browser) once(method, to string, v url.Values, header ...string) *page {
	b.w.Helper()
	var body io.Reader = http.NoBody
	if v != nil {
		body = strings.NewReader(v.Encode())
	}
	req, err := http.NewRequestWithContext(b.w.Context(), method, b.abs(to), body)
	b.w.must(err)
	if v != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return b.read(req)
}

// filled returns what a form would send, with pairs filled in, and where to.
func (p *page) filled(pairs ...string) (to string, v url.Values) {
	p.b.w.Helper()
	f := p.form(pairs[0], "")
	if f == nil {
		p.b.w.Fatalf("%s has no form with %s (status %d): %s", p.url.Path, pairs[0], p.status, p.text())
	}
	v = url.Values{}
	for k, one := range f.values {
		v[k] = slices.Clone(one)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	u, err := p.url.Parse(f.action)
	p.b.w.must(err)
	return u.RequestURI(), v
}

// twin is another window with the same cookies, which go their own way from here.
func (b *browser) twin() *browser {
	b.w.Helper()
	jar, err := cookiejar.New(nil)
	b.w.must(err)
	u, err := url.Parse(b.w.issuer)
	b.w.must(err)
	jar.SetCookies(u, b.jar.Cookies(u))
	return &browser{w: b.w, jar: jar, lang: b.lang, http: &http.Client{Transport: b.http.Transport, Jar: jar, CheckRedirect: b.http.CheckRedirect}}
}

// peopleRace runs f n times at once.
func peopleRace(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// number asks the database for one number, beside the program.
func (w *peopleWorld) number(query string, args ...any) (n int) {
	w.Helper()
	w.count(&n, query, args...)
	return n
}

// totpAt is the one-time code of a seed at a time.
func (w *world) totpAt(seed string, at time.Time) string {
	w.Helper()
	c, err := totp.GenerateCode(seed, at)
	w.must(err)
	return c
}

// signedIn is a browser in which somebody is signed in.
func (w *peopleWorld) signedIn(email string) *browser {
	w.Helper()
	b := w.browser()
	if p := b.get("/account").signIn(email); p.url.Path != "/account" || p.status != http.StatusOK {
		w.Fatalf("%s is at %s (%d): %s", email, p.url.Path, p.status, p.text())
	}
	return b
}

// isIn reports whether a browser is signed in.
func (b *browser) isIn() bool {
	b.w.Helper()
	return b.twin().once(http.MethodGet, "/account", nil).status == http.StatusOK
}

// shows fails the test unless the page has the status and the words.
func (w *peopleWorld) shows(what string, p *page, status int, words ...string) {
	w.Helper()
	if p.status != status {
		w.Errorf("%s: %d at %s, want %d: %s", what, p.status, p.url.Path, status, p.text())
		return
	}
	for _, s := range words {
		if !strings.Contains(p.text(), s) {
			w.Errorf("%s: no %q in: %s", what, s, p.text())
		}
	}
}
