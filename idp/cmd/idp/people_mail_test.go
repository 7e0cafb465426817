package main

import (
	"net/http"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// peopleEvents does everything that a mail tells of, once, and returns the secrets that were seen on the way.
func (w *peopleWorld) peopleEvents(email, locale string) (secrets []string) {
	w.Helper()
	b := w.browser()
	b.lang = locale
	w.signUp(b, email, "locale", locale)
	b.get("/account/factors/enrol")
	p := b.get("/account/factors/enrol")
	seed := peopleSeed.FindStringSubmatch(p.body)[1]
	p = p.enrol()
	codes := p.codes()
	p = b.get("/account/recovery-codes")
	p = p.formTo("/account/recovery-codes").send(p)
	codes = append(codes, p.codes()...)
	next := w.browser()
	half := next.get("/account").submit("identifier", email, "password", pass)
	recovery := next.get("/signin/recovery?flow=" + half.url.Query().Get("flow"))
	for range 5 {
		recovery.submit("code", "0000-0000-0000-0000")
	}
	w.clock.Advance(time.Hour)
	half = next.get("/account").submit("identifier", email, "password", pass)
	next.get("/signin/recovery?flow="+half.url.Query().Get("flow")).submit("code", codes[len(codes)-1])
	w.changePassword(next, pass, "another lamp on that jetty")
	next.get(hrefTo(w, next.get("/account/factors"), "/account/factors/remove")).press("id", "")
	w.clock.Advance(time.Minute)
	w.browser().get("/signup").submit("email", email)
	return append(codes, seed, pass, "another lamp on that jetty")
}

var peopleSubjects = map[string][]string{
	"en": {
		"Confirm your email address", "An authenticator app was set up", "New recovery codes were made", "Failed attempts to sign in", "A recovery code was used", "New sign-in to your account",
		"Your password was changed", "An authenticator app was removed", "You already have an account",
	},
	"es": {
		"Confirme su correo electrónico", "Se configuró una aplicación de autenticación", "Se crearon códigos de recuperación nuevos", "Intentos fallidos de iniciar sesión", "Se usó un código de recuperación",
		"Nuevo inicio de sesión en su cuenta", "Se cambió su contraseña", "Se quitó una aplicación de autenticación", "Usted ya tiene una cuenta",
	},
}

// Everything that touches the safety of an account is told to its owner, in the language that they chose, without secrets.
func TestMail_TellsEverythingOnceInTheOwnersLanguage(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`https?://[^\s"<>]+`)
	for locale, subjects := range peopleSubjects {
		t.Run(locale, func(t *testing.T) {
			t.Parallel()
			w := newPeople(t)
			secrets := w.peopleEvents("mia@example.org", locale)
			for _, s := range subjects {
				if n := len(w.told("mia@example.org", s)); n != 1 {
					t.Errorf("%q came %d times", s, n)
				}
			}
			all := w.mails()
			if len(all) != len(subjects) {
				t.Errorf("%d mails, want %d", len(all), len(subjects))
			}
			for _, m := range all {
				for _, s := range secrets {
					if strings.Contains(m.text+m.html, s) {
						t.Errorf("%q carries a secret", m.subject)
					}
				}
				for _, u := range link.FindAllString(m.text+m.html, -1) {
					if !strings.HasPrefix(u, w.issuer+"/") {
						t.Errorf("%q links to %s", m.subject, u)
					}
				}
				if m.text == "" || m.html == "" || m.header.Get("Auto-Submitted") != "auto-generated" || m.header.Get("Date") == "" || m.header.Get("Message-Id") == "" {
					t.Errorf("%q lacks a part or a header: %v", m.subject, m.header)
				}
				if !strings.Contains(m.html, `lang="`+locale+`"`) {
					t.Errorf("%q does not say its language", m.subject)
				}
			}
			var sealed int
			w.count(&sealed, `SELECT count(*) FROM outbox WHERE length(sealed) > 0`)
			if sealed != 0 {
				t.Errorf("%d texts are kept after they went out", sealed)
			}
		})
	}
}

// While the relay is down nothing is lost and nobody waits; what is no longer worth sending is given up.
func TestMail_WaitsForTheRelay(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	w.box.down.Store(true)
	b := w.browser()
	if p := b.get("/signup").submit("email", "mia@example.org"); p.url.Path != "/signup/check" {
		t.Fatalf("the sign-up waits for the relay: %s", p.text())
	}
	w.signedIn(ana)
	for _, wait := range []time.Duration{0, 5 * time.Second, 10 * time.Second} {
		w.clock.Advance(wait)
		if n := len(w.mails()); n != 0 {
			t.Fatalf("%d mails through a relay that is down", n)
		}
	}
	w.box.down.Store(false)
	w.clock.Advance(20 * time.Second)
	if n := len(w.mails()); n != 2 {
		t.Fatalf("%d mails after it came back, want 2", n)
	}
	w.box.down.Store(true)
	w.browser().get("/signup").submit("email", "eva@example.org")
	w.mails()
	w.box.down.Store(false)
	w.clock.Advance(11 * time.Minute)
	if n := len(w.mails()); n != 2 {
		t.Errorf("a link that is dead by now was sent: %d mails", n)
	}
}

// Whatever stands in a name or a header of a browser, a mail has one recipient, its own headers and inert text.
func TestAttack_E29_NothingIsInjectedIntoMail(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	for i, name := range []string{
		"Eve\r\nBcc: all@evil.example\r\n\r\nHello", "<img src=https://evil.example/x onerror=alert(1)>", `"><script>alert(1)</script>`, "\u202eevil\u2066", "=?utf-8?Q?=0D=0ABcc:_all=40evil.example?=",
		"https://evil.example/win click here", "{{.Email}}", "%0d%0aBcc: all@evil.example", "Eve\x00\x1b[31m\u2028",
	} {
		w.exec(`UPDATE accounts SET given_name = ?, family_name = ? WHERE email = ?`, name, name, ana) // as an import of long ago may have left it
		b := w.browser()
		agent := strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return -1
			}
			return r
		}, name)
		to, v := b.get("/account").filled("identifier", ana, "password", pass)
		if p := b.once(http.MethodPost, to, v, "User-Agent", agent); p.status != http.StatusSeeOther {
			t.Fatalf("%q: %d", name, p.status)
		}
		w.clock.Advance(time.Minute)
		all := w.mails()
		if len(all) != i+1 {
			t.Fatalf("%q: %d mails, want %d", name, len(all), i+1)
		}
		w.inert(name, all[i])
	}
	for _, address := range []string{`=?utf-8?q?=0D=0ABcc=3A?=@example.org`, `{{.}}@example.org`, `a%0d%0ab@example.org`, "bcc'&x=y@example.org", "o'neill@example.org"} {
		w.browser().get("/signup").submit("email", address)
		w.inert(address, w.mailTo(address))
	}
}

// inert fails the test unless a mail is to one person, with our headers alone, and shows nothing that works.
func (w *peopleWorld) inert(what string, m peopleMail) {
	w.Helper()
	to, err := mail.ParseAddressList(m.header.Get("To"))
	if err != nil || len(to) != 1 || !slices.Equal(m.to, []string{to[0].Address}) {
		w.Errorf("%q: to %v by the envelope, %q by the header (%v)", what, m.to, m.header.Get("To"), err)
	}
	for name := range m.header {
		if !slices.Contains([]string{"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Content-Transfer-Encoding", "Auto-Submitted", "User-Agent", "X-Mailer"}, name) {
			w.Errorf("%q: a header %s", what, name)
		}
	}
	for _, bad := range []string{"<script", "<img src=https", "https://evil", "\u202e", "\u2066", "\x1b", "\x00"} {
		if strings.Contains(m.html, bad) || strings.Contains(m.subject, bad) || (bad[0] < ' ' || bad[0] > '~') && strings.Contains(m.text, bad) {
			w.Errorf("%q: %q stands in the mail:\n%s", what, bad, m.html)
		}
	}
	if strings.ContainsAny(m.subject, "\r\n") {
		w.Errorf("%q: a subject of more than a line", what)
	}
}
