package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/ident"
)

// crowd is a list of distinct words of about 60 KB.
func crowd() string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	var b strings.Builder
	for _, x := range letters {
		for _, y := range letters {
			for _, z := range letters {
				if b.Len() > 60_000 {
					return b.String()
				}
				b.WriteString(string([]rune{x, y, z, ' '}))
			}
		}
	}
	return b.String()
}

// fastest sends something at least five times and returns the shortest time that an answer took: what else the machine does
// matters little then. It goes on for a while until one is within bound.
func fastest(bound time.Duration, send func()) (least time.Duration) {
	least = time.Hour
	for round := 0; round < 5 || round < 100 && least > bound; round++ {
		began := time.Now()
		send()
		least = min(least, time.Since(began))
	}
	return least
}

// bulky is how long something in bulk may take where something plain takes that long.
func bulky(plain time.Duration) time.Duration { return 5*plain + 40*time.Millisecond }

func TestAttack_I02_ACrowdOfWordsCostsNoMoreThanOneLongWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	many, one := crowd(), strings.Repeat("a", 60_000)
	for _, c := range []struct {
		name, client, parameter string
		form                    url.Values
	}{
		{"refresh, anonymous", "spa", "scope", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {ident.NewToken(ident.RefreshToken)}}},
		{"code, anonymous", "spa", "scope", redemption("spa", ident.NewToken(ident.AuthorizationCode))},
		{"code, anonymous", "spa", "audience", redemption("spa", ident.NewToken(ident.AuthorizationCode))},
		{"client credentials", "machine", "scope", url.Values{"grant_type": {"client_credentials"}}},
		{"client credentials", "machine", "audience", url.Values{"grant_type": {"client_credentials"}, "scope": {"cases.read"}}},
	} {
		c.form.Set(c.parameter, one)
		var a answer
		send := func() { a = w.as(c.client, "/token", c.form) }
		plain := fastest(time.Hour, send)
		c.form.Set(c.parameter, many)
		if took := fastest(bulky(plain), send); took > bulky(plain) {
			t.Errorf("%s, %s: %v for many words, %v for one", c.name, c.parameter, took, plain)
		}
		if c.parameter == "scope" {
			w.wants(c.name, a, http.StatusBadRequest, "invalid_scope")
		}
	}
}

func TestAttack_I02_ScopesAreBoundedInNumberAndLength(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refresh := w.tokens(ana, "web").str("refresh_token")
	fifty := strings.Join(strings.Fields(crowd())[:50], " ")
	for name, scope := range map[string]string{
		"51 scopes": fifty + " last", "too long": "cases.read " + strings.Repeat("x", 2048-len("cases.read ")+1),
		"too long, all the same": strings.Repeat("openid ", 300),
	} {
		w.wants(name+", refresh", w.refresh("web", refresh, "scope", scope), http.StatusBadRequest, "invalid_scope")
		w.wants(name+", machine", w.machine("machine", "scope", scope), http.StatusBadRequest, "invalid_scope")
		w.wants(name+", code", w.redeem("web", w.newCode(ana, "web"), "scope", scope), http.StatusBadRequest, "invalid_scope")
	}
	b := w.withConsent(ana)
	b.refusal("51 scopes", request("web", "scope", "openid "+fifty), "invalid_scope")
	b.refusal("too long", request("web", "scope", "openid "+strings.Repeat("x", 2048)), "invalid_request")
	if a := w.refresh("web", refresh, "scope", strings.Repeat("openid ", 200)); a.status != http.StatusOK || a.str("scope") != "openid" {
		t.Error("one scope said again and again:", a.status, a.body)
	}
}

// An authorization request in bulk is answered as fast as a plain one, and what is too long for a form is not read to its end.
func TestAttack_I02_AnAuthorizationRequestInBulkCostsNoMoreThanAPlainOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	var p *page
	ask := func(bound time.Duration, v url.Values) time.Duration {
		return fastest(bound, func() { p = b.once(http.MethodPost, "/authorize", v) })
	}
	plain := ask(time.Hour, request("web"))
	if p.status != http.StatusSeeOther {
		t.Fatalf("the yardstick: %d", p.status)
	}
	bound := bulky(plain)
	many, deep := crowd(), strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)
	for _, c := range []struct{ parameter, value, answer string }{
		{"scope", many, "invalid_request"}, {"acr_values", many, "invalid_request"}, {"prompt", many, "invalid_request"}, {"ui_locales", many, "invalid_request"}, {"id_token_hint", many, "invalid_request"},
		{"acr_values", strings.Repeat("x ", 1000), "invalid_request"}, {"ui_locales", strings.Repeat("es ", 600), "invalid_request"}, {"max_age", strings.Repeat("9", 2000), "invalid_request"},
		{"claims", deep, "/authorize?client_id=web&code_challenge="}, {"request", deep, "invalid_request"}, {"login_hint", many, "invalid_request"},
		{"scope", strings.Repeat("openid ", 100_000), ""}, {"claims", strings.Repeat(deep, 2), ""}, // longer than any form may be
	} {
		if took := ask(bound, request("web", c.parameter, c.value)); took > bound {
			t.Errorf("%s of %d bytes: %v, and a plain request %v", c.parameter, len(c.value), took, plain)
		}
		if to := p.header.Get("Location"); c.answer == "" && (p.status != http.StatusRequestEntityTooLarge || to != "") || !strings.Contains(to, c.answer) {
			t.Errorf("%s of %d bytes: %d to %q", c.parameter, len(c.value), p.status, to)
		}
	}
	v := request("web")
	for i := range 200 {
		v.Add("resource", casesAPI+"/"+strconv.Itoa(i))
	}
	if took := ask(bound, v); took > bound || p.status != http.StatusBadRequest {
		t.Errorf("200 resources: %d after %v", p.status, took)
	}
}
