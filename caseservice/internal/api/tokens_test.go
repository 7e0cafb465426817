package api_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/api"
	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/issuer"
	"ellis.example/caseservice/internal/paper"
)

const resourceMetadata = `resource_metadata="http://localhost:8081/.well-known/oauth-protected-resource"`

// refusedToken demands 401 invalid_token with the challenge of RFC 6750 and no data.
func refusedToken(t *testing.T, s *service, name, path, token string, more ...header) {
	t.Helper()
	a := s.get(path, token, more...)
	prefix, suffix := `Bearer error="invalid_token", error_description="`, `", `+resourceMetadata
	c := a.challenge()
	if a.status != http.StatusUnauthorized || a.code() != "invalid_token" || !strings.HasPrefix(c, prefix) || !strings.HasSuffix(c, suffix) ||
		strings.Count(c, `"`) != 6 || len(a.header["Www-Authenticate"]) != 1 {
		t.Errorf("%s: %d %s\n%s", name, a.status, c, a.body)
	}
}

// keyHeader returns a good header of a token with one member changed.
func keyHeader(i *issuertest.Issuer, name string, value any) map[string]any {
	k := i.Key()
	return issuertest.Claims{"typ": "at+jwt", "alg": k.Algorithm, "kid": k.KeyID}.With(name, value)
}

func TestTokens_EveryWrongKindIs401WithItsChallenge(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	path := "/v1/cases/" + c.Case.ID
	good := s.issuer.Person("p1", read)
	key, other := s.issuer.Key(), issuertest.Start(t, s.issuer.Clock)
	signed := s.issuer.Sign(good)
	if a := s.get(path, signed); a.status != http.StatusOK {
		t.Fatalf("the yardstick: %d", a.status)
	}
	for name, token := range map[string]string{
		"ID token":              issuertest.Sign(key.Key, keyHeader(s.issuer, "typ", "JWT"), good.With("aud", "portal").With("nonce", "n")),
		"ID token for us":       issuertest.Sign(key.Key, keyHeader(s.issuer, "typ", "JWT"), good),
		"no typ":                issuertest.Sign(key.Key, keyHeader(s.issuer, "typ", nil), good),
		"logout token":          issuertest.Sign(key.Key, keyHeader(s.issuer, "typ", "logout+jwt"), good),
		"refresh token":         "ert_dGhpcyBpcyBub3QgYSByZWZyZXNoIHRva2VuIGF0IGFsbA012345",
		"authorization code":    "eac_dGhpcyBpcyBub3QgYSByZWZyZXNoIHRva2VuIGF0IGFsbA012345",
		"other audience":        s.issuer.Sign(good.With("aud", "http://localhost:9999")),
		"audience with a slash": s.issuer.Sign(good.With("aud", issuertest.Audience+"/")),
		"issuer as audience":    s.issuer.Sign(good.With("aud", s.issuer.URL)),
		"two audiences":         s.issuer.Sign(good.With("aud", []string{issuertest.Audience, "http://localhost:9999"})),
		"other issuer":          other.Sign(other.Person("p1", read)),
		"other issuer as ours":  other.Sign(good),
		"expired":               s.issuer.Sign(good.With("exp", start.Unix())),
		"not yet valid":         s.issuer.Sign(good.With("nbf", start.Unix()+60)),
		"bound to a key":        s.issuer.Sign(good.With("cnf", map[string]string{"jkt": "x"})),
		"empty":                 " ",
		"two spaces":            " " + signed,
		"comma":                 signed + ", Bearer " + signed,
		"a word":                "null",
	} {
		refusedToken(t, s, name, path, token)
	}
	s.issuer.Clock.Advance(300 * time.Second)
	refusedToken(t, s, "remembered, and at its end", path, signed)
}

func TestTokens_WithoutOneTheChallengeHasNoError(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.seed(1, "p1")
	token := s.person("p1", read)
	for _, path := range []string{"/v1/cases", "/v1/cases/x", "/v1/cases/x/events", "/v1/stats"} {
		for name, more := range map[string][]header{
			"nothing":    nil,
			"a cookie":   {{"Cookie", "access_token=" + token}},
			"basic":      {{"Authorization", "Basic cDE6eA=="}},
			"DPoP":       {{"Authorization", "DPoP " + token}},
			"no scheme":  {{"Authorization", token}},
			"old header": {{"X-Access-Token", token}, {"Proxy-Authorization", "Bearer " + token}},
		} {
			a := s.get(path, "", more...)
			if a.code() != "authentication_required" || a.challenge() != "Bearer "+resourceMetadata {
				t.Errorf("%s with %s: %d %s", path, name, a.status, a.challenge())
			}
		}
	}
	if a := s.do(http.MethodPost, "/v1/claims", "", "access_token="+token, header{"Content-Type", "application/x-www-form-urlencoded"}); a.code() != "authentication_required" {
		t.Errorf("a token in the body: %d", a.status)
	}
	if a := s.get("/v1/cases", "", header{"Authorization", "bEARER " + token}); a.status != http.StatusOK { // RFC 9110 §11.1
		t.Errorf("%d", a.status)
	}
}

func TestTokens_OnlyOneHeaderAndNeverTheQuery(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.seed(1, "p1")
	token := s.person("p1", read)
	refusedToken(t, s, "the same header twice", "/v1/cases", token, header{"Authorization", "Bearer " + token})
	refusedToken(t, s, "another header", "/v1/cases", token, header{"Authorization", "Basic eDp5"})
	refusedToken(t, s, "query", "/v1/cases?access_token="+token, "")
	refusedToken(t, s, "query and header", "/v1/cases?access_token="+token, token)
	refusedToken(t, s, "encoded name", "/v1/cases?limit=5&%61ccess_token="+token, token)
	if strings.Contains(s.log.String(), token[:60]) {
		t.Error("a token stands in the log")
	}
}

func TestAttack_C05_NoForgedAlgorithmOpensACase(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	path := "/v1/cases/" + c.Case.ID
	good, key := s.issuer.Person("p1", read), s.issuer.Key()
	pub := key.Public()
	der, err := x509.MarshalPKIXPublicKey(pub.Key)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := pub.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "DER": der, "JWK": jwk, "nothing": nil} {
		for _, alg := range []string{"HS256", "ES256"} {
			unsigned := issuertest.Sign(nil, keyHeader(s.issuer, "alg", alg), good)
			m := hmac.New(sha256.New, secret)
			_, _ = m.Write([]byte(strings.TrimSuffix(unsigned, ".")))
			refusedToken(t, s, alg+" under "+name, path, unsigned+base64.RawURLEncoding.EncodeToString(m.Sum(nil)))
		}
	}
	for _, alg := range []any{"none", "None", "nOnE", "", nil} {
		unsigned := issuertest.Sign(nil, keyHeader(s.issuer, "alg", alg), good)
		refusedToken(t, s, fmt.Sprint(alg), path, unsigned)
		refusedToken(t, s, fmt.Sprint(alg, " with a signature"), path, unsigned+"AAAA")
	}
}

func TestAttack_C07_KidGamesAre401AndReachNoStore(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.seed(1, "p1")
	good := s.issuer.Person("p1", read)
	evil := issuertest.Start(t, s.issuer.Clock)
	evilKey := evil.Key()
	for _, kid := range []any{"../../etc/passwd", "' OR 1=1 --", "k\r\nFLUSHALL", "\x00", strings.Repeat("k", 2000), evil.URL + "/jwks", 7, nil, "unknown"} {
		refusedToken(t, s, fmt.Sprintf("%.20v", kid), "/v1/cases", issuertest.Sign(s.issuer.Key().Key, keyHeader(s.issuer, "kid", kid), good))
	}
	for name, value := range map[string]any{"jku": evil.URL + "/jwks", "jwk": evilKey.Public(), "x5u": evil.URL, "crit": []string{"exp"}} {
		refusedToken(t, s, name, "/v1/cases", issuertest.Sign(evil.Key().Key, keyHeader(s.issuer, name, value), good))
	}
	refusedToken(t, s, "another's key under our kid", "/v1/cases", issuertest.Sign(evil.Key().Key, keyHeader(s.issuer, "x", 1), good))
	if evil.KeyFetches() != 0 {
		t.Error("a token made us fetch foreign keys")
	}
}

func TestAttack_C12_JSONSerialisationIsNoToken(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.seed(1, "p1")
	evil := issuertest.Start(t, s.issuer.Clock)
	g, f := strings.Split(s.person("p1", read), "."), strings.Split(evil.Sign(s.issuer.Person("p1", read)), ".")
	for name, doc := range map[string]any{
		"flattened": map[string]any{"protected": g[0], "payload": g[1], "signature": g[2]},
		"two signatures": map[string]any{"payload": f[1], "signatures": []any{
			map[string]any{"protected": g[0], "signature": g[2]}, map[string]any{"protected": f[0], "signature": f[2]}}},
	} {
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		refusedToken(t, s, name, "/v1/cases", string(text))
	}
}

func TestAttack_C16_MalformedTokensAreRefusedWithAnAnswer(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.seed(1, "p1")
	for name, token := range map[string]string{
		"dots": strings.Repeat(".", 8000), "letters": strings.Repeat("A", 12000), "parts": strings.Repeat("a.", 2000), "empty parts": "..",
	} {
		refusedToken(t, s, name, "/v1/cases", token)
	}
}

func TestAttack_C22_AlteredTextOfATokenIsRefused(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.seed(1, "p1")
	token := s.person("p1", read)
	for range 2 { // before and after it is remembered
		for n := 0; n < len(token); n += 37 {
			c := byte('A')
			if token[n] == c {
				c = 'B'
			}
			refusedToken(t, s, fmt.Sprint("change at ", n), "/v1/cases", token[:n]+string(c)+token[n+1:])
		}
		for name, bent := range map[string]string{"padding": token + "=", "tab": token + "\tx", "dot": token + ".", "shorter": token[:len(token)-1], "upper": strings.ToUpper(token)} {
			refusedToken(t, s, name, "/v1/cases", bent)
		}
		if a := s.get("/v1/cases", token); a.status != http.StatusOK {
			t.Fatal(a.status)
		}
	}
}

func TestAttack_B16_NoShortenedTokenOpensAnything(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.seed(1, "p1")
	token := s.person("p1", read)
	if a := s.get("/v1/cases", token); a.status != http.StatusOK {
		t.Fatal(a.status)
	}
	for n := 1; n < len(token); n += 41 {
		refusedToken(t, s, fmt.Sprint(n, " characters"), "/v1/cases", token[:n])
	}
}

func TestAttack_B27_ARememberedTokenOpensItsOwnScopeOnly(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	tokens := map[string]string{
		cases.ScopeRead: s.person("p1", cases.ScopeRead), cases.ScopeClaim: s.person("p1", cases.ScopeClaim),
		cases.ScopeStats: s.issuer.Sign(s.issuer.Machine("batch", cases.ScopeStats)),
		"cases:*":        s.person("p1", "cases:* cases cases: CASES:READ cases:read:all"), "": s.issuer.Sign(s.issuer.Person("p1", "").With("scope", nil)),
	}
	for range 3 { // the second time each token is remembered
		for scope, token := range tokens {
			for path, needs := range map[string]string{
				"/v1/cases": cases.ScopeRead, "/v1/cases/" + c.Case.ID: cases.ScopeRead, "/v1/cases/" + c.Case.ID + "/events": cases.ScopeRead, "/v1/stats": cases.ScopeStats,
			} {
				a := s.get(path, token)
				if scope == needs {
					if a.status != http.StatusOK {
						t.Errorf("%s on %s: %d", scope, path, a.status)
					}
					continue
				}
				want := `Bearer error="insufficient_scope", error_description="the access token lacks the scope that this call needs", scope="` + needs + `", ` + resourceMetadata
				if a.status != http.StatusForbidden || a.code() != "insufficient_scope" || a.challenge() != want {
					t.Errorf("%s on %s: %d %s", scope, path, a.status, a.challenge())
				}
			}
		}
	}
}

func TestPolicy_KindOfCaller(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "batch")
	machine := s.issuer.Sign(s.issuer.Machine("batch", "cases:read cases:claim cases:stats"))
	person := s.person("p1", "cases:read cases:claim cases:stats")
	for _, path := range []string{"/v1/cases", "/v1/cases/" + c.Case.ID, "/v1/cases/" + c.Case.ID + "/events"} {
		if a := s.get(path, machine); a.code() != "person_required" || a.status != http.StatusForbidden || a.challenge() != "" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := s.get("/v1/stats", person); a.code() != "machine_only" || a.status != http.StatusForbidden {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.claim(machine, "k-00000001", c); a.code() != "person_required" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPolicy_ClaimingNeedsAFreshSecondFactor(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	good := s.issuer.Person("p1", cases.ScopeClaim)
	now := start.Unix()
	want := `Bearer error="insufficient_user_authentication", error_description="the person has to sign in again, with a second factor", acr_values="urn:ellis:aal2", max_age="300", ` + resourceMetadata
	for name, claims := range map[string]issuertest.Claims{
		"aal1": good.With("acr", cases.ACR1), "no acr": good.With("acr", nil), "an unknown acr": good.With("acr", "urn:ellis:aal9"), "acr in capitals": good.With("acr", "URN:ELLIS:AAL2"),
		"301 s old": good.With("auth_time", now-301), "a day old": good.With("auth_time", now-86400), "no auth_time": good.With("auth_time", nil),
		"in the future": good.With("auth_time", now+60), "at the zero time": good.With("auth_time", 0),
	} {
		a := s.claim(s.issuer.Sign(claims), "k-00000001", c)
		if a.status != http.StatusUnauthorized || a.code() != "insufficient_user_authentication" || a.challenge() != want {
			t.Errorf("%s: %d %s", name, a.status, a.challenge())
		}
		if a := s.get("/v1/cases", s.issuer.Sign(claims.With("scope", read))); a.status != http.StatusOK {
			t.Errorf("%s: reading needs no second factor: %d", name, a.status)
		}
	}
	if a := s.claim(s.issuer.Sign(good.With("auth_time", now-300)), "k-00000001", c); a.status != http.StatusCreated {
		t.Errorf("300 s old: %d %s", a.status, a.body)
	}
}

func TestTokens_StepUpGoesStaleWhileTheTokenLives(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	token := s.issuer.Sign(s.issuer.Person("p1", cases.ScopeClaim).With("auth_time", start.Add(-200*time.Second).Unix()))
	wrong := c
	wrong.code = paper.NewClaimCode().Grouped()
	if a := s.claim(token, "k-00000001", wrong); a.status != http.StatusUnprocessableEntity {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.issuer.Clock.Advance(101 * time.Second)
	if a := s.claim(token, "k-00000002", c); a.code() != "insufficient_user_authentication" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestIssuerDown_IsA503ThatSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	s.issuer.Down(true)
	s.issuer.Clock.Advance(issuer.KeysStale)
	a := s.get("/v1/cases/"+c.Case.ID, s.person("p1", read))
	if a.code() != "issuer_unreachable" || a.header.Get("Retry-After") == "" || a.challenge() != "" || strings.Contains(string(a.body), c.Case.ID) {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.issuer.Down(false)
	s.issuer.Clock.Advance(time.Minute)
	if a := s.get("/v1/cases/"+c.Case.ID, s.person("p1", read)); a.status != http.StatusOK {
		t.Errorf("%d", a.status)
	}
}

// explain is a verifier whose refusal holds what a header must not.
type explain struct{ message string }

func (e explain) Verify(context.Context, string) (*cases.Caller, error) {
	return nil, fault.New(fault.Unauthenticated, "invalid_token", e.message)
}

func TestChallenge_HoldsNothingThatBreaksOutOfItsQuotes(t *testing.T) {
	t.Parallel()
	a, err := api.New(api.Options{Issuer: "http://localhost:8080", Audience: issuertest.Audience, Key: codeKey, Tokens: explain{"a\"b\\c\r\nX: y\x00é"}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/v1/cases", nil)
	r.Header.Set("Authorization", "Bearer x")
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	want := `Bearer error="invalid_token", error_description="a'b'c''X: y''", ` + resourceMetadata
	if got := w.Header().Get("WWW-Authenticate"); got != want {
		t.Errorf("%q", got)
	}
}
