package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/keyring"
)

// shuffle is a sequence of numbers that is the same at every run.
type shuffle uint64

func (s *shuffle) below(n int) int {
	*s ^= *s << 13
	*s ^= *s >> 7
	*s ^= *s << 17
	return int(uint64(*s) % uint64(n))
}

// mutate changes a token in one to three places, as noise or as somebody would who knows its parts.
func (s *shuffle) mutate(token string, others []string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\x00é\"{}"
	for range 1 + s.below(3) {
		at := s.below(len(token) + 1)
		switch other := strings.Split(others[s.below(len(others))], "."); s.below(7) {
		case 0:
			token = token[:at]
		case 1:
			token = token[at:]
		case 2, 3:
			token = token[:at] + string(alphabet[s.below(len(alphabet))]) + token[at:]
		case 4:
			if at < len(token) {
				token = token[:at] + string(alphabet[s.below(len(alphabet))]) + token[at+1:]
			}
		case 5:
			parts := strings.Split(token, ".")
			parts[s.below(len(parts))] = other[s.below(len(other))]
			token = strings.Join(parts, ".")
		case 6:
			token += "." + other[s.below(len(other))]
		}
	}
	return token
}

// strangeTokens are texts that parsers of tokens fell over.
func strangeTokens() []string {
	return []string{
		"", ".", "..", "...", "....", strings.Repeat(".", 5000), "e30.e30.e30", "bnVsbA.bnVsbA.bnVsbA", "W10.W10.W10", "IiI.IiI.IiI", "MQ.MQ.MQ",
		"eyJhbGciOiJFUzI1NiIsImp3ayI6bnVsbH0.e30.AA", "eyJhbGciOiJFUzI1NiIsImNyaXQiOlsiZXhwIl19.e30.AA", "eyJhbGciOiJFUzI1NiIsImI2NCI6ZmFsc2V9.e30.AA",
		"eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTEyOEdDTSIsImVwayI6e319.....", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0..AA.AA.AA", "eyJhbGciOiJBMTI4R0NNS1ciLCJlbmMiOiJBMTI4R0NNIn0.AA.AA.AA.AA", // CVE-2026-34986: key wrapping
		`{"payload":"","signatures":[]}`, `{"payload":"e30","signatures":[{}]}`, `{"protected":"e30","encrypted_key":"","iv":"","ciphertext":"","tag":""}`, strings.Repeat("A", 20000), strings.Repeat("A.", 1000), "\xff\xfe.\xff.\xff",
	}
}

func TestAttack_C11_NoTokenMakesAParserPanic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tokens(ana, "web", "scope", "openid offline_access")
	genuine := []string{a.str("access_token"), a.str("id_token"), w.assertion("ES256", nil), w.assertion("PS256", nil), w.assertion("EdDSA", nil), a.str("refresh_token")}
	isGenuine := func(s string) bool { return s == genuine[0] || s == genuine[1] }
	s := shuffle(88172645463325252)
	var bad []string
	for range 20_000 {
		bad = append(bad, s.mutate(genuine[s.below(len(genuine))], genuine))
	}
	bad = append(bad, strangeTokens()...)
	for _, token := range bad {
		for _, verify := range []func() ([]byte, error){
			func() ([]byte, error) { return w.p.ring.Verify(t.Context(), token, "at+jwt", "JWT") }, func() ([]byte, error) { return w.p.ring.VerifyOld(t.Context(), token, "at+jwt", "JWT") },
		} {
			if _, err := verify(); err == nil && !isGenuine(token) || err != nil && !errors.Is(err, keyring.ErrToken) {
				t.Fatalf("%q: %v", token, err)
			}
		}
	}
	b := w.browser()
	for _, token := range append(strangeTokens(), bad[:150]...) {
		header := strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return -1
			}
			return r
		}, token)
		for name, status := range map[string]int{
			"UserInfo": w.userinfo(header).status, "UserInfo form": w.do(http.MethodPost, "/userinfo", url.Values{"access_token": {token}}).status,
			"introspection": w.as("web", "/introspect", url.Values{"token": {token}}).status, "revocation": w.as("post", "/revoke", url.Values{"token": {token}}).status,
			"assertion": w.proven(token).status, "refresh": w.refresh("web", token).status, "code": w.redeem("web", token).status,
			"hint": b.once(http.MethodPost, "/authorize", request("web", "id_token_hint", token, "prompt", "none")).status, "logout": b.once(http.MethodPost, "/logout", url.Values{"id_token_hint": {token}}).status,
		} {
			if status >= http.StatusInternalServerError || status == 0 {
				t.Errorf("%s answers %d to %.60q", name, status, token)
			}
		}
	}
	if strings.Contains(w.log.String(), "panic") {
		t.Error("a panic was recovered; that counts")
	}
}

func TestAttack_C03_AssertionsLeaveNothingThatOutlivesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kept := func() (n int) {
		w.count(&n, `SELECT count(*) FROM spent WHERE kind = 'assertion'`)
		return n
	}
	at := func(d time.Duration) int64 { return w.clock.Now().Add(d).Unix() }
	for i, exp := range []int64{at(time.Hour + time.Minute), at(50 * 365 * 24 * time.Hour), 1 << 40, 1 << 50} {
		for j := range 20 {
			w.wants("far away", w.proven(w.assertion("EdDSA", object{"exp": exp, "jti": fmt.Sprint("far", i, "-", j)})), http.StatusUnauthorized, "invalid_client")
		}
	}
	for _, stranger := range []object{{"sub": "web", "iss": "web"}, {"aud": "https://evil.example"}, {"jti": strings.Repeat("j", 300)}} {
		w.wants("not the client's, not for us, too long", w.proven(w.assertion("EdDSA", stranger)), http.StatusUnauthorized, "invalid_client")
	}
	forged, err := signJWS(clientKeys()["EdDSA"], "EdDSA", "EdDSA", "JWT", object{"iss": "key", "sub": "key", "aud": w.issuer, "jti": "forged", "exp": at(time.Minute)})
	w.must(err)
	w.wants("a forged one", w.proven(forged[:len(forged)-4]+"AAAA"), http.StatusUnauthorized, "invalid_client")
	if n := kept(); n != 0 {
		t.Fatalf("%d refused assertions are remembered", n)
	}
	const many = 200
	together(8, func(i int) {
		for j := range many / 8 {
			if a := w.proven(w.assertion("EdDSA", object{"exp": at(time.Hour), "jti": fmt.Sprint("good", i, "-", j)})); a.status != http.StatusOK {
				t.Error(a.body)
			}
		}
	})
	if n := kept(); n != many {
		t.Errorf("%d of %d assertions that were used are remembered", n, many)
	}
	w.clock.Advance(time.Hour + time.Minute)
	_, err = w.p.store.Sweep(t.Context(), w.clock.Now())
	w.must(err)
	if n := kept(); n != 0 {
		t.Errorf("%d assertions are remembered although they have ended", n)
	}
}
