package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/account"
)

// answerShape is what an observer sees of an answer: all but what is random by nature.
func (p *page) answerShape() string {
	var out []string
	for k, v := range p.header {
		switch k {
		case "Date", "X-Request-Id", "Set-Cookie":
			out = append(out, k)
		default:
			out = append(out, k+": "+strings.Join(v, ","))
		}
	}
	for _, line := range p.header.Values("Set-Cookie") {
		name, rest, _ := strings.Cut(line, "=")
		value, attrs, _ := strings.Cut(rest, ";")
		out = append(out, "cookie "+name+" of "+strings.Repeat("x", len(value))+";"+attrs)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// blanked is a body without its anti-forgery tokens, flow ids and support codes, which are random.
func blanked(p *page, also ...string) string {
	s := p.body
	for _, f := range p.forms {
		if v := f.values.Get("csrf_token"); v != "" {
			s = strings.ReplaceAll(s, v, "CSRF")
		}
	}
	if id := p.url.Query().Get("flow"); id != "" {
		s = strings.ReplaceAll(s, id, "FLOW")
	}
	for _, a := range also {
		s = strings.ReplaceAll(s, a, "ADDRESS")
	}
	return s
}

func (w *peopleWorld) alike(what string, a, b *page, names ...string) {
	w.Helper()
	if a.status != b.status || a.answerShape() != b.answerShape() {
		w.Errorf("%s: %d %s\n---\n%d %s", what, a.status, a.answerShape(), b.status, b.answerShape())
	}
	if blanked(a, names...) != blanked(b, names...) {
		w.Errorf("%s: the pages differ:\n%s\n---\n%s", what, a.text(), b.text())
	}
}

// Sign-up: page, headers and cookies are the same; only the mail differs, and it goes to the owner.
func TestAttack_F01_SignUpDoesNotTellWhoHasAnAccount(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.people(t)
		known, unknown := w.browser(), w.browser()
		for round := range 7 { // past the limit of mails, too
			var got [2]*page
			for i, b := range []*browser{known, unknown} {
				to, v := b.get("/signup").filled("email", []string{"ana@example.org", "eva@example.org"}[i])
				got[i] = b.once(http.MethodPost, to, v)
			}
			w.alike("sign-up", got[0], got[1])
			w.alike("check", known.get("/signup/check"), unknown.get("/signup/check"), "ana@example.org", "eva@example.org")
			if t.Failed() {
				t.Fatal("in round", round)
			}
		}
		m := w.mailTo(ana)
		if m.subject != "You already have an account" || peopleLink.MatchString(m.text) || !strings.Contains(m.text, w.issuer+"/signin") {
			t.Errorf("the owner got %q:\n%s", m.subject, m.text)
		}
		if peopleLink.MatchString(m.html) {
			t.Error("the owner's mail has a link to open a second account")
		}
		var a, e int
		for _, m := range w.mails() {
			if slices.Equal(m.to, []string{ana}) {
				a++
			} else if slices.Equal(m.to, []string{"eva@example.org"}) {
				e++
			}
		}
		if a != 5 || e != 5 {
			t.Errorf("%d mails to the owner, %d to the newcomer, want 5 and 5", a, e)
		}
	})
}

// Sign-in: wrong password, unknown name, disabled account, one answer; and they slow down and lock alike.
func TestAttack_F04_UnknownNamesAreThrottledAlike(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.people(t)
		w.must(w.peopleAdmin().Disable(w.Context(), ben, "test", "operator:test"))
		names := []string{"ana@example.org", "eva@example.org", "ben@example.org"}
		tries := make([]struct {
			b  *browser
			to string
			v  url.Values
		}, len(names))
		for i, n := range names {
			tries[i].b = w.browser()
			tries[i].to, tries[i].v = tries[i].b.get("/signin").filled("identifier", n, "password", "wrong password of some length")
		}
		throttled := 0
		for range 9 {
			var got []*page
			for _, a := range tries {
				got = append(got, a.b.once(http.MethodPost, a.to, a.v))
			}
			for i := 1; i < len(got); i++ {
				w.alike(names[i], got[0], got[i], names...)
			}
			if got[0].status == http.StatusTooManyRequests {
				throttled++
				if got[0].header.Get("Retry-After") == "" {
					t.Error("429 without Retry-After")
				}
			}
		}
		if throttled == 0 {
			t.Error("nine wrong passwords at once were not slowed down")
		}
		if a, b := w.rows("ana@example.org"), w.rows("eva@example.org"); a == 0 || b == 0 {
			t.Error("a refused attempt left no trace", a, b)
		}
	})
}

// rows counts audit events of refused sign-ins; the address itself is never among what they say.
func (w *peopleWorld) rows(address string) int {
	w.Helper()
	if n := w.number(`SELECT count(*) FROM audit_events WHERE CAST(body AS TEXT) LIKE '%' || ? || '%'`, address); n != 0 {
		w.Errorf("%d audit events carry %s", n, address)
	}
	return w.number(`SELECT count(*) FROM audit_events WHERE CAST(body AS TEXT) LIKE '%"signin.password"%"refused"%'`)
}

// User name, address and every spelling of them run on one counter.
func TestAttack_F06_SpellingsOfOneIdentifierShareACounter(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.people(t)
		w.signUp(w.browser(), "Mia.Berg@example.org", "username", "Mia.B")
		b := w.browser()
		to, v := b.get("/signin").filled("password", "wrong password of some length")
		for i, name := range []string{"mia.berg@example.org", "MIA.BERG@EXAMPLE.ORG", "mia.b", "MIA.B", "ｍｉａ.b"} {
			v.Set("identifier", name)
			if p := b.once(http.MethodPost, to, v); p.status != http.StatusUnprocessableEntity {
				t.Errorf("guess %d as %s: %d", i+1, name, p.status)
			}
		}
		for _, name := range []string{"mia.berg@example.org", " Mia.B ", "ｍｉａ.berg@example.org", "mia.berg@ｅxample.org"} {
			v.Set("identifier", name)
			if p := b.once(http.MethodPost, to, v); p.status != http.StatusTooManyRequests {
				t.Errorf("sixth guess as %s: %d", name, p.status)
			}
		}
	})
}

// What nobody can have as a name is refused like a wrong one, and one person's slip does not stop the next.
func TestSignIn_MalformedNamesAreCountedEachForItself(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.browser()
	to, v := b.get("/signin").filled("identifier", "!!", "password", "wrong password of some length")
	for range 6 {
		b.once(http.MethodPost, to, v)
	}
	other := w.browser()
	w.shows("another slip", other.get("/signin").submit("identifier", "??", "password", "x"), http.StatusUnprocessableEntity)
}

// Names and addresses share one namespace: a name never reads as an address, and one of two who race for it wins.
func TestAttack_E18_NamesAndAddressesShareOneNamespace(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	for i, name := range []string{"ana@example.org", "ana＠example.org", "ANA@EXAMPLE.ORG"} {
		w.shows(name, w.prove(w.browser(), fmt.Sprintf("n%d@example.net", i)).submit(peopleDetails("username", name)...), http.StatusUnprocessableEntity, "Use 3 to 64 characters")
	}
	tabs := make([]*browser, 64)
	forms := make([]url.Values, len(tabs))
	to := ""
	for i := range tabs {
		tabs[i] = w.browser()
		name := []string{"harbour", "HARBOUR", "ｈarbour"}[i%3]
		to, forms[i] = w.prove(tabs[i], "p"+strings.Repeat("x", i)+"@example.net").filled(peopleDetails("username", name)...)
	}
	won := make([]bool, len(tabs))
	peopleRace(len(tabs), func(i int) {
		p := tabs[i].once(http.MethodPost, to, forms[i])
		for p.status == http.StatusServiceUnavailable { // more passwords at once than may wait to be hashed: it says to come again
			time.Sleep(20 * time.Millisecond)
			p = tabs[i].once(http.MethodPost, to, forms[i])
		}
		won[i] = p.status == http.StatusSeeOther
		if !won[i] && p.status != http.StatusUnprocessableEntity {
			t.Errorf("%d: %s", p.status, p.text())
		}
	})
	n := 0
	for _, one := range won {
		if one {
			n++
		}
	}
	if m := w.number(`SELECT count(*) FROM identifiers WHERE canonical = 'harbour'`); n != 1 || m != 1 {
		t.Errorf("%d of %d got the name, %d rows", n, len(tabs), m)
	}
}

// One address opens one account, however many tabs and links race for it.
func TestSignUp_OneAddressOpensOneAccount(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	first, second := w.browser(), w.browser()
	to, v := w.prove(first, "mia@example.org").filled(peopleDetails()...)
	_, other := w.prove(second, "MIA@example.org").filled(peopleDetails()...)
	tabs := make([]*browser, 32)
	for i := range tabs {
		tabs[i] = []*browser{first, second}[i%2].twin()
	}
	peopleRace(len(tabs), func(i int) {
		if p := tabs[i].once(http.MethodPost, to, []url.Values{v, other}[i%2]); p.status != http.StatusSeeOther && p.status != http.StatusGone {
			t.Errorf("%d: %s", p.status, p.text())
		}
	})
	if n := w.number(`SELECT count(*) FROM accounts WHERE lower(email) = 'mia@example.org'`); n != 1 {
		t.Errorf("%d accounts", n)
	}
	if n := w.number(`SELECT count(*) FROM passwords`); n != 3 {
		t.Errorf("%d passwords of 3 people", n)
	}
}

// Mail goes to the mailbox that was checked: no look-alike of it proves it, and no other address gets any.
func TestAttack_E19_MailGoesToTheMailboxThatIsProven(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	for typed, mailbox := range map[string]string{
		"ｖera@example.org": "vera@example.org", "Uma@EXAMPLE.org": "Uma@example.org", "ida＠example.org": "ida@example.org", "eli@bücher.example": "eli@xn--bcher-kva.example",
		"\u212Aim@example.org": "Kim@example.org", " noa@example.org ": "noa@example.org",
	} {
		w.browser().get("/signup").submit("email", typed)
		if m := w.mailTo(mailbox); !slices.Equal(m.to, []string{mailbox}) || !peopleLink.MatchString(m.text) {
			t.Errorf("%q: to %v", typed, m.to)
		}
	}
	if n := len(w.mails()); n != 6 {
		t.Errorf("%d mails, want 6", n)
	}
}

// An odd address has one reading, or none.
func TestAttack_E21_OddAddressesAreRefused(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.browser()
	to, v := b.get("/signup").filled("email", "")
	odd := []string{
		"a@b@example.org", "ana@example.org,eva@example.org", "ana@example.org;eva@example.org", "<ana@example.org>", "Ana <ana@example.org>", `"ana"@example.org`,
		"ana(x)@example.org", "ana@example.org\r\nBcc: eva@example.org", "ana\nx@example.org", "ana@[127.0.0.1]", "ana@127.0.0.1", "ana@localhost", "@example.org", "ana@", "ana",
		"ana@-example.org", "ana@exa mple.org", "ana@example..org", ".ana@example.org", "ana.@example.org", "a..b@example.org", "ana@example.org.", "ana@example.org%00", "ana\x00@example.org",
		"ana@\u202eexample.org", "ana\u200b@example.org", "a\\@b@example.org", "ana@example.org/", "ana@example.org#", "ana@example.org?", "ana:x@example.org",
		strings.Repeat("a", 65) + "@example.org", "a@" + strings.Repeat("b", 64) + ".org", strings.Repeat("a", 320) + "@example.org", "ana@" + strings.Repeat("b.", 130) + "org",
		"ana@exa_mple.org", "ana@example.o\u200drg", "ana@\u2100example.org", "ana@example\uff0forg", "ana@example.org\uff20evil.example",
	}
	for _, s := range odd {
		v.Set("email", s)
		if p := b.once(http.MethodPost, to, v); p.status != http.StatusUnprocessableEntity {
			m, c, err := account.Address(s)
			t.Errorf("%q: %d (%q, %q, %v)", s, p.status, m, c, err)
		}
	}
	if n := len(w.mails()); n != 0 {
		t.Errorf("%d mails to odd addresses", n)
	}
}

// A user name is of one script, so that none is drawn like another.
func TestAttack_E20_NamesAreOfOneScript(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	p := w.prove(w.browser(), "mia@example.org")
	for _, name := range []string{"аdmin", "раypal", "hаrbour", "mia\u202eb", "mia\u200bb", "mia b", "ab", strings.Repeat("a", 65), "1mia", "-mia", "mia/b", "mia\u0301\u0301\u0301x<"} {
		p = p.submit(peopleDetails("username", name)...)
		w.shows(name, p, http.StatusUnprocessableEntity, "Use 3 to 64 characters")
	}
	if p = p.submit(peopleDetails("username", "Миа")...); p.url.Path != "/signin/offer" {
		t.Errorf("a Cyrillic name: %s %s", p.url.Path, p.text())
	}
}

// What a form does not ask for changes nothing.
func TestAttack_E16_FormsSetWhatTheyAskForOnly(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.browser()
	extra := []string{
		"email", "eva@example.org", "email_verified", "1", "verified_at", "1", "status", "disabled", "id", "acc_00000000000000000000000000", "role", "admin", "roles", "admin", "sub", "x",
		"acr", "urn:ellis:aal2", "account", w.people[ana], "canonical", "x", "version_", "9", "created_at", "0",
	}
	w.signUp(b, "mia@example.org", extra...)
	b.get("/account/profile").submit(append([]string{"given_name", "Mina", "username", "root"}, extra...)...)
	const kept = `SELECT count(*) FROM accounts WHERE email = 'mia@example.org' AND given_name = 'Mina' AND status = 'active' AND username = '' AND id <> 'acc_00000000000000000000000000'`
	if n := w.number(kept); n != 1 {
		t.Error("a field that no form asks for was taken")
	}
	if n := w.number(`SELECT count(*) FROM accounts WHERE given_name = 'Mina'`); n != 1 {
		t.Errorf("%d accounts were changed", n)
	}
	if n := w.number(`SELECT count(*) FROM sessions WHERE acr <> 'urn:ellis:aal1'`); n != 0 {
		t.Error("a form raised the assurance of a session")
	}
}
