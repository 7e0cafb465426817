package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"ellis.example/idp/internal/factor"
)

// jumble is n letters that no list and no rule knows, always the same.
func jumble(n int) string {
	b := make([]byte, n)
	for i := range b {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		b[i] = 'a' + sum[0]%26
	}
	return string(b)
}

// opens reports whether a new browser gets in with a password.
func (w *peopleWorld) opens(email, pw string) bool {
	w.Helper()
	w.clock.Advance(16 * time.Minute) // nobody waits for the failures of the test before
	b := w.browser()
	p := b.get("/account").submit("identifier", email, "password", pw)
	if p.status == http.StatusTooManyRequests {
		w.Fatalf("throttled: %s", p.text())
	}
	return p.url.Path == "/account" && p.status == http.StatusOK
}

// The rules for new passwords (NIST SP 800-63B-4 §3.1.1.2), each with the reason that is shown, in both forms that take one.
func TestPassword_FormsTellWhyOneIsRefused(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	details := w.prove(w.browser(), "mia.berg@example.org")
	change := w.signedIn(ana).get("/account/password")
	for _, c := range []struct{ pw, says string }{
		{"", "Enter a password."},
		{"fourteen chars", "Use at least 15 characters."},
		{"ﷺ", "Use at least 15 characters."}, // one character, which NFKC writes with eighteen
		{"ﷺﷺﷺﷺﷺﷺﷺﷺ", "Use at least 15 characters."},
		{"e\u0301e\u0300o\u0301o\u0300a\u0301a\u0300u\u0301u\u0300", "Use at least 15 characters."}, // eight, each typed as two
		{"1qaz2wsx3edc4rfv", "lists of common passwords"},
		{"PassWordSunShine", "lists of common passwords"},
		{"aaaaaaaaaaaaaaab", "repeats the same characters"},
		{"abcabcabcabcabcabc", "repeats the same characters"},
		{"123456789012345", "simple sequence"},
		{"987654321zyxwvut", "simple sequence"},
		{"qwertyuiopasdfghjkl", "row of the keyboard"},
		{"Ellis Portal Password", "the name of this service"},
		{"ellis-login-2026", "the name of this service"},
		{strings.Repeat("a", 1025), "Use at most 1024 bytes"},
		{jumble(1023) + "ü", "Use at most 1024 bytes"},
	} {
		details = details.submit(peopleDetails("password", c.pw)...)
		w.shows("sign-up with "+c.pw[:min(len(c.pw), 40)], details, http.StatusUnprocessableEntity, map[bool]string{true: "Use at least 15", false: c.says}[c.pw == ""])
		change = change.submit("current_password", pass, "new_password", c.pw)
		w.shows("change to "+c.pw[:min(len(c.pw), 40)], change, http.StatusUnprocessableEntity, c.says)
		for _, p := range []*page{details, change} {
			if c.pw != "" && strings.Contains(p.body, "value=\""+c.pw) {
				t.Errorf("%q comes back in the page", c.pw)
			}
		}
	}
	for _, about := range []string{"mia berg mia berg 1984", "mia.berg@example.org", "Berg 1984-03-09 Mia", "ｍｉａ ｂｅｒｇ　１９８４0309"} {
		details = details.submit(peopleDetails("password", about)...)
		w.shows(about, details, http.StatusUnprocessableEntity, "contains your name")
	}
	details = details.submit(peopleDetails("username", "harbourlight", "password", "harbourlight2026")...)
	w.shows("the user name", details, http.StatusUnprocessableEntity, "contains your name")
	change = change.submit("current_password", pass, "new_password", pass)
	w.shows("the same again", change, http.StatusUnprocessableEntity, "the same as the old one")
	details.b.lang = "es"
	w.shows("in Spanish", details.submit(peopleDetails("locale", "es", "password", "catorce letras")...), http.StatusUnprocessableEntity, "15 caracteres")
	if n := w.number(`SELECT count(*) FROM passwords`); n != 2 {
		t.Errorf("%d passwords of 2 people", n)
	}
}

// No class of character is asked for, and none is forbidden: length decides.
func TestPassword_TakesAnyTextOfFifteenCharacters(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	for i, pw := range []string{
		"fifteen chars !", "tres tristes tigres", "пятнадцать букв", "密码密碼長度十五個字符以上吧啊哦", "🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧🐦🐤🦆", "  b r  k w  z o ", `"'><script>&amp;`, "%00%0d%0a+%2B=&;?#",
		jumble(64), jumble(256), jumble(1024),
	} {
		email := "p" + strconv.Itoa(i) + "@example.net"
		if p := w.signUp(w.browser(), email, "password", pw); p.url.Path != "/signin/offer" {
			t.Errorf("%q: %s", pw, p.text())
		} else if !w.opens(email, pw) {
			t.Errorf("%q is taken and does not open", pw)
		}
	}
}

// The whole password counts, and one that is typed in another form of Unicode is the same.
func TestAttack_I13_LongPasswordsAreVerifiedWhole(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.people(t)
		for _, n := range []int{64, 73, 256, 1024} {
			email, pw := "n"+strconv.Itoa(n)+"@example.net", jumble(n)
			w.signUp(w.browser(), email, "password", pw)
			for what, wrong := range map[string]string{"another end": pw[:n-1] + "0", "no end": pw[:n-1], "72 bytes": pw[:min(72, n-1)], "upper case": strings.ToUpper(pw), "a space more": pw + " ", "a space before": " " + pw} {
				if w.opens(email, wrong) {
					t.Errorf("%d characters: %s opens too", n, what)
				}
			}
			if !w.opens(email, pw) {
				t.Errorf("%d characters: the right one does not open", n)
			}
		}
		const typed = "Añoranza ｅｎ el páramo ﬁnal Å"
		w.signUp(w.browser(), "uni@example.net", "password", norm.NFC.String(typed))
		for name, form := range map[string]string{"NFC": norm.NFC.String(typed), "NFD": norm.NFD.String(typed), "NFKC": norm.NFKC.String(typed), "NFKD": norm.NFKD.String(typed)} {
			if !w.opens("uni@example.net", form) {
				t.Errorf("typed as %s it does not open", name)
			}
		}
	})
}

// What is too long is refused before it is hashed: here a hash would take minutes and a gigabyte.
func TestAttack_I13_NothingTooLongIsHashed(t *testing.T) {
	t.Parallel()
	w := newPeople(t, func(s *settings) { s.hashing = factor.Params{Memory: 1 << 20, Time: 64, Threads: 1} })
	details := w.prove(w.browser(), "mia@example.org")
	began := time.Now()
	for _, c := range []struct {
		bytes, status int
	}{{1025, http.StatusUnprocessableEntity}, {60 << 10, http.StatusUnprocessableEntity}, {70 << 10, http.StatusRequestEntityTooLarge}, {1 << 20, http.StatusRequestEntityTooLarge}} {
		pw := strings.Repeat("x7", c.bytes/2) + strings.Repeat("x", c.bytes%2)
		for _, name := range []string{ana, "nobody@example.org"} {
			b := w.browser()
			to, v := b.get("/signin").filled("identifier", name, "password", pw)
			if p := b.once(http.MethodPost, to, v); p.status != c.status || !strings.HasPrefix(p.header.Get("Content-Type"), "text/html") {
				t.Errorf("sign-in of %s with %d bytes: %d", name, c.bytes, p.status)
			}
		}
		to, v := details.filled(peopleDetails("password", pw)...)
		if p := details.b.once(http.MethodPost, to, v); p.status != c.status {
			t.Errorf("sign-up with %d bytes: %d %s", c.bytes, p.status, p.text())
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v: something was hashed", took)
	}
}

// At most so many hash at once; the queue has an end, and who comes later is told when to come back.
func TestAttack_I13_AFullQueueSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	w := newPeople(t, func(s *settings) {
		s.hashing = factor.Params{Memory: 4 << 10, Time: 24, Threads: 1}
		s.proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	tabs, form, to := make([]*browser, 48*runtime.GOMAXPROCS(0)), url.Values(nil), ""
	for i := range tabs {
		tabs[i] = w.browser()
		if i == 0 {
			to, form = tabs[i].get("/signin").filled("identifier", "", "password", "a lamp on a dry jetty")
			continue
		}
		tabs[i] = tabs[0].twin()
	}
	got := make([]*page, len(tabs))
	peopleRace(len(tabs), func(i int) {
		v := url.Values{"csrf_token": form["csrf_token"], "identifier": {"n" + strconv.Itoa(i) + "@example.org"}, "password": form["password"]}
		got[i] = tabs[i].once(http.MethodPost, to, v, "X-Forwarded-For", fmt.Sprintf("10.0.%d.%d", i/256, i%256))
	})
	busy, wrong := 0, 0
	for _, p := range got {
		switch p.status {
		case http.StatusServiceUnavailable:
			busy++
			if s, err := strconv.Atoi(p.header.Get("Retry-After")); err != nil || s < 1 || !strings.Contains(p.text(), "Support code") {
				t.Fatalf("503 with Retry-After %q: %s", p.header.Get("Retry-After"), p.text())
			}
		case http.StatusUnprocessableEntity:
			wrong++
		default:
			t.Errorf("%d: %s", p.status, p.text())
		}
	}
	if busy == 0 || wrong == 0 {
		t.Errorf("%d were told to come back, %d were answered", busy, wrong)
	}
	if n := w.number(`SELECT count(*) FROM throttles WHERE failures > 0`); n != 3*wrong {
		t.Errorf("%d counters count a failure after %d verified guesses: what was not verified does not count", n, wrong)
	}
}

// A record of an older cost is replaced at the next right sign-in, and at no other.
func TestPassword_RehashedWhenTheCostRises(t *testing.T) {
	t.Parallel()
	w := newPeople(t, func(s *settings) { s.hashing = factor.Params{Memory: 32, Time: 1, Threads: 1} })
	const risen = `SELECT count(*) FROM passwords WHERE record LIKE '%$m=32,t=1,p=1,%'`
	at := w.number(`SELECT changed_at FROM passwords WHERE account = ?`, w.people[ana])
	if w.opens(ana, "a lamp on a wet jetti") || w.number(risen) != 0 {
		t.Error("a wrong password opened, or changed what is stored")
	}
	if !w.opens(ana, pass) || w.number(risen) != 1 {
		t.Error("a right one did not open, or left the old record")
	}
	if again := w.number(`SELECT changed_at FROM passwords WHERE account = ?`, w.people[ana]); again != at {
		t.Error("a new record counts as a new password")
	}
	if !w.opens(ana, pass) || w.opens(ana, "a lamp on a wet jetti") {
		t.Error("the new record is of another password")
	}
}

// Passwords do not age.
func TestPassword_OpensTenYearsLater(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	w.clock.Advance(10 * 365 * 24 * time.Hour)
	if !w.opens(ana, pass) {
		t.Error("it does not")
	}
}

// A name without an account takes the hash that a name with one takes: without it, an answer comes twenty times as fast.
// Not parallel, and only the fastest answers count, of more rounds if need be, so that what else the machine does matters
// little.
func TestAttack_F01_UnknownNamesTakeTheSameTime(t *testing.T) {
	w := newPeople(t, func(s *settings) { s.hashing = factor.Params{Memory: 32 << 10, Time: 2, Threads: 1} })
	w.signUp(w.browser(), "mia@example.org")
	w.signUp(w.browser(), "off@example.org")
	w.must(w.peopleAdmin().Disable(w.Context(), "off@example.org", "test", "operator:test"))
	b := w.browser()
	names := []string{"mia@example.org", "nobody@example.org", "off@example.org", "!!", "nobody"}
	fastest := make([]time.Duration, len(names))
	alike := func() bool {
		return slices.Min(fastest) >= fastest[0]/4
	}
	for round := 0; round < 4 || round < 40 && !alike(); round++ {
		to, v := b.get("/signin").filled("identifier", "", "password", "wrong password of some length")
		for i, n := range names {
			w.clock.Advance(4 * time.Minute) // nobody waits for the failures before
			v.Set("identifier", n)
			began := time.Now()
			if p := b.once(http.MethodPost, to, v); p.status != http.StatusUnprocessableEntity {
				t.Fatalf("%s: %d", n, p.status)
			}
			if took := time.Since(began); fastest[i] == 0 || took < fastest[i] {
				fastest[i] = took
			}
		}
	}
	if !alike() {
		t.Errorf("%v are answered after %v: the first is known", names, fastest)
	}
}

// Nothing that anybody can see without signing in changes with the number of people.
func TestAttack_F12_NobodyLearnsHowManyAccountsThereAre(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	open := []string{"/signup", "/signup/check", "/help", "/privacy", "/not-government", "/signed-out", "/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/nothing-here", "/userinfo"}
	see := func(b *browser) (out []string) {
		for _, path := range open {
			p := b.once(http.MethodGet, path, nil)
			out = append(out, strconv.Itoa(p.status)+" "+strings.ReplaceAll(blanked(p), p.header.Get("X-Request-Id"), "ID"))
		}
		return out
	}
	b := w.browser()
	b.get("/signup") // from here on the browser has its cookies
	before := see(b)
	for i := range 7 {
		w.signUp(w.browser(), "p"+strconv.Itoa(i)+"@example.net")
	}
	for i, now := range see(b) {
		if now != before[i] {
			t.Errorf("%s changed:\n%s\n---\n%s", open[i], before[i], now)
		}
	}
	ids := map[string]bool{}
	rows, err := w.database().QueryContext(w.Context(), `SELECT id FROM accounts`)
	w.must(err)
	defer rows.Close()
	for rows.Next() {
		var id string
		w.must(rows.Scan(&id))
		ids[id[:len("acc_")+8]] = true
	}
	w.must(rows.Err())
	if len(ids) != 9 {
		t.Errorf("%d beginnings of 9 account ids: they are in an order", len(ids))
	}
}

// Who is locked is locked in what was begun before, too.
func TestAttack_F09_ALockHoldsForAFormThatIsOpen(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.people(t)
		open := w.browser()
		to, v := open.get("/signin").filled("identifier", ana, "password", pass)
		for range 6 {
			guess := w.browser()
			where, form := guess.get("/signin").filled("identifier", ana, "password", "wrong password of some length")
			guess.once(http.MethodPost, where, form)
		}
		if p := open.once(http.MethodPost, to, v); p.status != http.StatusTooManyRequests || open.isIn() {
			t.Errorf("a form that was opened before: %d", p.status)
		}
	})
}

func TestAttack_F09_ADisabledAccountFinishesNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.people(t)
		pending, code := w.browser(), w.code()
		p := pending.get("/account").submit("identifier", ben, "password", pass)
		to, v := p.filled("code", code)
		in := w.browser()
		in.newCode(ben, "web")
		unredeemed := in.newCode(ben, "web")
		tokens := w.tokens(ben, "web")
		form := w.browser()
		signin, password := form.get("/signin").filled("identifier", ben, "password", pass)
		w.must(w.peopleAdmin().Disable(w.Context(), ben, "test", "operator:test"))
		if p := pending.once(http.MethodPost, to, v); p.status/100 == 2 || pending.isIn() {
			t.Errorf("a second factor: %d", p.status)
		}
		if p := form.once(http.MethodPost, signin, password); p.status != http.StatusUnprocessableEntity {
			t.Errorf("a password form: %d", p.status)
		}
		w.wants("a code", w.redeem("web", unredeemed), http.StatusBadRequest, "invalid_grant")
		w.wants("a refresh token", w.refresh("web", tokens.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
		if in.isIn() {
			t.Error("a session goes on")
		}
		if a := w.userinfo(tokens.str("access_token")); a.status != http.StatusUnauthorized {
			t.Errorf("an access token: %d", a.status)
		}
	})
}

// Password managers find every field, and nothing keeps people from pasting.
func TestPassword_FieldsAreMarkedForPasswordManagers(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	for what, c := range map[string]struct {
		p     *page
		wants []string
	}{
		"sign-in": {w.browser().get("/signin"), []string{"username", "current-password"}},
		"sign-up": {w.prove(w.browser(), "mia@example.org"), []string{"username", "new-password"}},
		"change":  {w.signedIn(ana).get("/account/password"), []string{"username", "current-password", "new-password"}},
	} {
		for _, token := range c.wants {
			if !strings.Contains(c.p.body, `autocomplete="`+token+`"`) {
				t.Errorf("%s: no field is marked %s", what, token)
			}
		}
		for _, bad := range []string{"onpaste", "maxlength=", `pattern=`} {
			if i := strings.Index(c.p.body, bad); i >= 0 && slices.Contains([]string{"sign-in", "change"}, what) {
				t.Errorf("%s: %s", what, c.p.body[i:i+40])
			}
		}
	}
}
