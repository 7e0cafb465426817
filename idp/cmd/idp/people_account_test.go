package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestProfile_ShowsAndSavesWhatWasTyped(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	p := b.get("/account/profile")
	w.shows("as it is", p, http.StatusOK, ana, "It cannot be changed here")
	if v := p.form("given_name", "").values; v.Get("given_name") != "Ana" || v.Get("family_name") != "Lind" || v.Get("birth_year") != "1990" || v.Get("birth_month") != "4" || v.Get("country") != "SE" {
		t.Errorf("the form shows %v", v)
	}
	for _, c := range []struct{ field, value, says string }{
		{"given_name", "", "Enter your given name"}, {"family_name", " ", "Enter your family name"}, {"given_name", "<b>Ana</b>", "Use letters"},
		{"given_name", "Ana\r\nBcc: x@evil.example", "Use letters"}, {"family_name", strings.Repeat("a", 101), "Use letters"}, {"birth_day", "31", "does not exist"},
		{"birth_year", "2027", "does not exist"}, {"birth_year", "", "does not exist"}, {"country", "XX", "Choose your country"}, {"locale", "fr", "Choose a language"},
	} {
		w.shows(c.field+" "+c.value, b.get("/account/profile").submit(c.field, c.value), http.StatusUnprocessableEntity, c.says)
	}
	older := b.get("/account/profile")
	p = p.submit("given_name", "  Ána  María ", "family_name", "O’Neill-Quintero", "birth_year", "1991", "country", "MX")
	w.shows("saved", p, http.StatusOK, "Your details are saved.", "Ána María")
	if n := w.number(`SELECT count(*) FROM accounts WHERE given_name = 'Ána María' AND birth_date = '1991-04-05' AND country = 'MX' AND email = ?`, ana); n != 1 {
		t.Error("not stored as typed")
	}
	w.shows("an older page", older.submit("given_name", "Anita"), http.StatusConflict, "changed in another window")
	p = b.get("/account/profile").submit("locale", "es")
	w.shows("in Spanish from now on", p, http.StatusOK, "Datos personales")
}

// Of many tabs that send the form as it was, one saves.
func TestProfile_OneOfManyAtOnceSaves(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	to, v := b.get("/account/profile").filled("given_name", "Anita")
	saved := make([]bool, 16)
	tabs := make([]*browser, len(saved))
	for i := range tabs {
		tabs[i] = b.twin()
	}
	peopleRace(len(tabs), func(i int) {
		saved[i] = tabs[i].once(http.MethodPost, to, v).status == http.StatusSeeOther
	})
	n := 0
	for _, one := range saved {
		if one {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d saved", n)
	}
}

// A password changes by who knows the old one; refresh tokens die with it, other sessions if asked, and the owner hears of it.
func TestPasswordChange_EndsWhatTheOldOneOpened(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	const next, third = "another lamp on that jetty", "a third lamp, on no jetty"
	b, other := w.signedIn(ana), w.signedIn(ana)
	tokens := w.tokensIn(b, "web")
	_, before := claims(tokens.str("id_token"))
	for old, says := range map[string]string{"": "Enter your current password.", "not the old password": "This is not your current password", strings.Repeat("a", 2000): "This is not your current password"} {
		w.shows("with the old one "+old[:min(9, len(old))], b.get("/account/password").submit("current_password", old, "new_password", next), http.StatusUnprocessableEntity, says)
	}
	w.clock.Advance(time.Minute)
	w.changePassword(b, pass, next)
	if other.isIn() || !b.isIn() {
		t.Error("the wrong sessions ended")
	}
	w.wants("a refresh token", w.refresh("web", tokens.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
	told := w.told(ana, "Your password was changed")
	if len(told) != 1 || !strings.Contains(told[0].text, w.issuer+"/account") {
		t.Errorf("the owner was told %d times", len(told))
	}
	if w.opens(ana, pass) || !w.opens(ana, next) {
		t.Error("the old one opens, or the new one does not")
	}
	b, other = w.browser(), w.browser()
	for _, x := range []*browser{b, other} {
		x.get("/account").submit("identifier", ana, "password", next)
	}
	w.changePassword(b, next, third, "end_others", "")
	if !other.isIn() {
		t.Error("the other session ended, and nobody asked for that")
	}
	// changing a password is no sign-in
	in := w.browser()
	in.get("/account").submit("identifier", ana, "password", third)
	at := w.clock.Now().Unix()
	w.clock.Advance(2 * time.Minute)
	w.changePassword(in, third, next)
	_, after := claims(w.tokensIn(in, "web").str("id_token"))
	if got, _ := after["auth_time"].(float64); int64(got) != at || before["sub"] != after["sub"] {
		t.Errorf("auth_time %v, want %d", after["auth_time"], at)
	}
}

// Guesses at the old password in an open session are counted like those at the door.
func TestAttack_F09_AnOpenSessionGuessesNoPassword(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.people(t)
		b := w.signedIn(ana)
		var got []int
		for range 7 {
			got = append(got, b.get("/account/password").submit("current_password", "not the old password", "new_password", "another lamp on that jetty").status)
		}
		if !slices.Equal(got, []int{422, 422, 422, 422, 422, 429, 429}) {
			t.Errorf("seven guesses: %v", got)
		}
		w.shows("the right one", b.get("/account/password").submit("current_password", pass, "new_password", "another lamp on that jetty"), http.StatusTooManyRequests, "Please wait a little")
	})
}

// Of two who change a password at once one does, and the other is told.
func TestPasswordChange_OneOfManyAtOnceWins(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	const n = 4
	tabs, forms, to := make([]*browser, n), make([]url.Values, n), ""
	for i := range tabs {
		tabs[i] = w.signedIn(ana)
		to, forms[i] = tabs[i].get("/account/password").filled("current_password", pass, "new_password", "lamp number "+strings.Repeat("x", i)+" on that jetty")
		forms[i].Del("end_others")
	}
	done := make([]bool, n)
	peopleRace(n, func(i int) {
		p := tabs[i].once(http.MethodPost, to, forms[i])
		done[i] = p.status == http.StatusSeeOther
		if !done[i] && p.status != http.StatusConflict && p.status != http.StatusUnprocessableEntity {
			t.Errorf("%d: %s", p.status, p.text())
		}
	})
	won := slices.Index(done, true)
	if won < 0 || slices.Contains(done[won+1:], true) {
		t.Fatalf("%v", done)
	}
	if !w.opens(ana, forms[won].Get("new_password")) || w.opens(ana, pass) {
		t.Error("the winner's password is not the one that opens")
	}
}

// Withdrawing ends what an app was given, at once, and of that app alone.
func TestConnectedApps_WithdrawalKillsTokens(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	web, post, bens := w.tokensIn(b, "web"), w.tokensIn(b, "post"), w.tokens(ben, "web")
	p := b.get("/account/apps")
	w.shows("the list", p, http.StatusOK, "Harbour Portal", "Quiet Ledger", "See your cases", "Since November 2, 2026")
	to, v := p.filled("client_id")
	for _, id := range []string{"nobody", "", "spa", "' OR 1=1 --"} {
		v.Set("client_id", id)
		if q := b.once(http.MethodPost, to, v); q.header.Get("Location") != "/account/apps" {
			t.Errorf("withdrawing from %q leads to %s", id, q.header.Get("Location"))
		}
	}
	v.Set("client_id", "web")
	w.shows("withdrawn", b.post(to, v), http.StatusOK, "Harbour Portal no longer has access to your account.")
	w.wants("its refresh token", w.refresh("web", web.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
	if w.active("web", web.str("access_token")) || !w.active("post", post.str("access_token")) || !w.active("web", bens.str("access_token")) {
		t.Error("not its tokens died, or not they alone")
	}
	if a := w.refresh("post", post.str("refresh_token")); a.status != http.StatusOK {
		t.Errorf("another app: %d", a.status)
	}
	if p := b.authorize(request("web")); p.url.Path != "/consent" {
		t.Errorf("the app is not asked for again, at %s", p.url.Path)
	}
	if p := b.get("/account/apps"); strings.Contains(p.text(), "Harbour Portal") {
		t.Error("it is still listed")
	}
}

// Knowing an identifier of somebody else's opens and changes nothing.
func TestAttack_H02_IdentifiersOfOthersOpenNothing(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	mine, theirs := w.signedIn(ana), w.signedIn(ben)
	remove := hrefTo(w, theirs.get("/account/factors"), "/account/factors/remove")
	half := w.half(ben)
	flow := "?flow=" + half.url.Query().Get("flow")
	for path, want := range map[string]string{
		remove: "/account/factors", "/signin" + flow: "403", "/signin/factor" + flow: "403", "/signin/recovery" + flow: "403", "/signin/enrol" + flow: "403", "/signin/codes" + flow: "403",
		"/consent" + flow: "403", "/continue" + flow: "403",
	} {
		if p := mine.twin().once(http.MethodGet, path, nil); p.outcome() != want {
			t.Errorf("GET %s: %s, want %s", path, p.outcome(), want)
		}
	}
	mine.get("/signin") // a flow of her own
	form := mine.get("/account/password").formTo("/account/password").values
	mine.once(http.MethodPost, remove, form)
	mine.once(http.MethodPost, remove, url.Values{"csrf_token": form["csrf_token"], "id": {remove[strings.LastIndex(remove, "=")+1:]}})
	if n := w.number(`SELECT count(*) FROM totps WHERE account = ?`, w.people[ben]); n != 1 {
		t.Error("somebody else's authenticator app was removed")
	}
	if p := mine.get("/account/activity"); strings.Contains(p.body, ben) || strings.Contains(p.body, w.people[ben]) {
		t.Error("somebody else's activity is shown")
	}
	if p := mine.get("/signin/offer" + flow); strings.Contains(p.body, "/signin/enrol") || !strings.Contains(p.body, "/account/factors/enrol") {
		t.Error("an offer goes on with somebody else's flow")
	}
}

// What was done is listed, newest first, page by page, without a gap and without a word that is not ours.
func TestActivity_ListsEverythingOnce(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	b := w.signedIn(ana)
	for i := range 70 {
		w.clock.Advance(time.Second)
		b.get("/account/profile").submit("given_name", "Ana"+strings.Repeat("a", 1+i%2))
	}
	w.must(w.p.store.IndexAudit(w.Context()))
	p, pages, changes := b.get("/account/activity"), 0, 0
	for {
		pages++
		changes += strings.Count(p.text(), "Account changed")
		if !strings.Contains(p.body, `href="/account/activity?before=`) || pages > 9 {
			break
		}
		p = b.get(hrefTo(w, p, "/account/activity?before="))
	}
	if changes != 70 || pages != 3 {
		t.Errorf("%d changes on %d pages, want 70 on 3", changes, pages)
	}
	for _, before := range []string{"x", "2026-11-02", "' OR 1=1 --", "\x00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"} {
		if p := b.get("/account/activity?before=" + url.QueryEscape(before)); p.status != http.StatusOK {
			t.Errorf("before %q: %d", before, p.status)
		}
	}
}
