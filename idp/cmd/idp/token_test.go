package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/grant"
)

func TestCode_GivesTokensOnce_SecondUseRevokesTheFirst(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		code := w.newCode(ana, "web")
		a := w.redeem("web", code)
		if a.status != http.StatusOK || a.str("token_type") != "Bearer" || a.num("expires_in") != 300 || a.str("scope") != "cases.read offline_access openid" {
			t.Fatal(a.status, a.body)
		}
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
			t.Error("the answer may be cached", a.header)
		}
		w.wants("second use", w.redeem("web", code), http.StatusBadRequest, "invalid_grant")
		w.wants("refresh token of the first", w.refresh("web", a.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
		if w.active("cases", a.str("access_token")) {
			t.Error("the access token of the first use still works")
		}
	})
}

func TestCode_WrongVerifierKillsIt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		for name, wrong := range map[string]string{"wrong": strings.Repeat("x", 43), "none": ""} {
			code := w.newCode(ana, "web")
			w.wants(name, w.redeem("web", code, "code_verifier", wrong), http.StatusBadRequest, "invalid_grant")
			w.wants("right one after "+name, w.redeem("web", code), http.StatusBadRequest, "invalid_grant")
			w.wants("none after "+name, w.redeem("web", code, "code_verifier", ""), http.StatusBadRequest, "invalid_grant")
		}
	})
}

func TestCode_RedirectURIMustBeTheOneOfTheRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.newCode(ana, "web")
	w.wants("another registered one", w.redeem("web", code, "redirect_uri", "https://app.example/other?tenant=1"), http.StatusBadRequest, "invalid_grant")
	if a := w.redeem("web", code); a.status != http.StatusOK {
		t.Error("a mistake that is no theft killed the code", a.body)
	}
}

func TestAttack_B01_OnlyTheClientOfACodeRedeemsIt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		clients := []string{"web", "post", "key", "spa", "native"}
		b := w.browser()
		for _, owner := range clients {
			for _, thief := range clients {
				code := b.newCode(ana, owner)
				a := w.redeem(thief, code, "redirect_uri", redirects[owner])
				if (a.status == http.StatusOK) != (owner == thief) {
					t.Errorf("%s redeems a code of %s: %d %s", thief, owner, a.status, a.body)
				}
				if owner != thief {
					if a := w.redeem(owner, code); a.status != http.StatusOK {
						t.Errorf("%s lost its code because %s tried: %s", owner, thief, a.body)
					}
				}
			}
		}
	})
}

func TestAttack_B07_ParallelRedemptionsHaveOneWinner(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		for _, client := range []string{"web", "spa"} {
			code := w.newCode(ana, client)
			var won atomic.Int64
			together(64, func(int) {
				switch a := w.redeem(client, code); {
				case a.status == http.StatusOK:
					won.Add(1)
				case a.str("error") != "invalid_grant" && a.status != http.StatusServiceUnavailable:
					t.Error(a.status, a.body)
				}
			})
			if won.Load() > 1 {
				t.Errorf("%d redemptions of one code of %s succeeded", won.Load(), client)
			}
			var codes, families int
			w.count(&codes, `SELECT count(*) FROM access_tokens a JOIN grants g ON g.id = a.grant_id WHERE g.client = ?`, client)
			w.count(&families, `SELECT count(*) FROM families WHERE client = ?`, client)
			if codes < int(won.Load()) || codes > 1 || families != codes { // an answer may be lost, and what it tells of stands
				t.Errorf("%d tokens and %d families stand on one code", codes, families)
			}
		}
	})
}

// together runs f n times at once.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

func TestAttack_B09_PKCECannotBeLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	for client, uri := range redirects {
		for name, v := range map[string]url.Values{
			"no challenge": request(client, "code_challenge", "", "code_challenge_method", ""),
			"no method":    request(client, "code_challenge_method", ""),
			"plain":        request(client, "code_challenge", verifier, "code_challenge_method", "plain"),
			"other case":   request(client, "code_challenge_method", "s256"),
			"short":        request(client, "code_challenge", challenge(verifier)[:42]),
			"padded":       request(client, "code_challenge", challenge(verifier)+"="),
			"no base64url": request(client, "code_challenge", strings.Repeat("+", 43)),
		} {
			if a := b.authorize(v).answer(uri); a.Get("error") != "invalid_request" || a.Get("code") != "" {
				t.Errorf("%s with %s: %v", client, name, a)
			}
		}
	}
}

func TestAttack_B10_VerifiersAreStrict(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		b := w.browser()
		for name, v := range map[string]string{
			"empty": "", "blank": " ", "challenge itself": challenge(verifier), "42 characters": strings.Repeat("a", 42), "129 characters": strings.Repeat("a", 129),
			"not ASCII": strings.Repeat("é", 50), "a NUL at the end": verifier + "\x00", "a line end": verifier + "\n", "upper case": strings.ToUpper(verifier),
		} {
			f := redemption("web", b.newCode(ana, "web"))
			f["code_verifier"] = []string{v}
			w.wants(name, w.as("web", "/token", f), http.StatusBadRequest, "invalid_grant")
		}
		f := redemption("web", b.newCode(ana, "web"))
		f.Add("code_verifier", verifier)
		w.wants("two", w.as("web", "/token", f), http.StatusBadRequest, "invalid_request")
		short := strings.Repeat("a", 42)
		w.wants("too short although it fits", w.redeem("web", b.newCode(ana, "web", "code_challenge", challenge(short)), "code_verifier", short), http.StatusBadRequest, "invalid_grant")
	})
}

func TestRefresh_EndsWithDisuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tokens(ana, "web")
	w.clock.Advance(grant.IdleLifetime + time.Second)
	w.wants("an idle family", w.refresh("web", a.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
}

func TestAttack_B16_AlteredTokensAreNone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		a := w.tokens(ana, "web", "scope", "openid offline_access")
		code := w.newCode(ana, "web")
		kinds := map[string]struct {
			token string
			good  func(string) bool
		}{
			"access":  {a.str("access_token"), func(s string) bool { return w.userinfo(s).status == http.StatusOK }},
			"refresh": {a.str("refresh_token"), func(s string) bool { return w.active("web", s) }},
			"code":    {code, func(s string) bool { return w.redeem("web", s).status == http.StatusOK }},
		}
		for kind, k := range kinds {
			for i, s := range alterations(k.token) {
				if on == shared && i%4 > 0 { // they are refused before a store is asked: some of each sort show it
					continue
				}
				if s != "" && s != k.token && k.good(s) {
					t.Errorf("%s %d is taken altered: %q", kind, i, s)
				}
			}
			if !k.good(k.token) {
				t.Errorf("the %s token itself is refused", kind)
			}
		}
	})
}

// alterations are prefixes, changed characters, flipped cases and trailing bytes.
func alterations(s string) (out []string) {
	step := max(1, len(s)/40)
	for i := 0; i < len(s); i += step {
		c := byte('A')
		if s[i] == 'A' {
			c = 'B'
		}
		out = append(out, s[:i], s[:i]+string(c)+s[i+1:])
		if flipped := s[i] ^ 0x20; s[i] >= 'A' && s[i] <= 'Z' || s[i] >= 'a' && s[i] <= 'z' {
			out = append(out, s[:i]+string(flipped)+s[i+1:])
		}
	}
	last := s[len(s)-1]
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		if byte(c) != last {
			out = append(out, s[:len(s)-1]+string(c))
		}
	}
	return append(out, s+"=", s+"A", s+"%00", s+".", strings.ToUpper(s), strings.ToLower(s), strings.ReplaceAll(s, ".", ". "))
}

func TestToken_RefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wants("no grant type", w.as("web", "/token", url.Values{}), http.StatusBadRequest, "invalid_request")
	w.wants("unknown", w.as("web", "/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}}), http.StatusBadRequest, "unsupported_grant_type")
	w.wants("password", w.as("web", "/token", url.Values{"grant_type": {"password"}, "username": {ana}, "password": {pass}}), http.StatusBadRequest, "unsupported_grant_type")
	w.wants("not registered", w.as("web", "/token", url.Values{"grant_type": {"client_credentials"}}), http.StatusBadRequest, "unauthorized_client")
	w.wants("no code", w.as("web", "/token", url.Values{"grant_type": {"authorization_code"}}), http.StatusBadRequest, "invalid_grant")
	w.wants("no refresh token", w.as("web", "/token", url.Values{"grant_type": {"refresh_token"}}), http.StatusBadRequest, "invalid_request")
	if a := w.do(http.MethodGet, "/token?grant_type=client_credentials", nil); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") == "" {
		t.Error("GET", a.status, a.body)
	}
	w.wants("another type of body", w.do(http.MethodPost, "/token", url.Values{}, "Content-Type", "application/json"), http.StatusBadRequest, "invalid_request")
	for _, name := range []string{"grant_type", "code", "client_id", "scope", "unknown_parameter"} {
		f := redemption("web", "eac_x", "client_id", "web")
		f[name] = []string{"a", "a"}
		w.wants(fmt.Sprintf("%s twice", name), w.do(http.MethodPost, "/token", f, "Authorization", w.basic("web")), http.StatusBadRequest, "invalid_request")
	}
}
