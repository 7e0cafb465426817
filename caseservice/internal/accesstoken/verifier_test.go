package accesstoken_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken"
	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/feed"
	"ellis.example/caseservice/internal/issuer"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// setup returns an issuer and a verifier of its tokens.
func setup(t testing.TB) (*issuertest.Issuer, *accesstoken.Verifier) {
	t.Helper()
	i := issuertest.Start(t, clock.NewFake(start))
	return i, verifierOf(i)
}

func verifierOf(i *issuertest.Issuer) *accesstoken.Verifier {
	return accesstoken.New(accesstoken.Options{Issuer: keysOf(i), Audience: issuertest.Audience, Revocations: none{}, Clock: i.Clock})
}

func keysOf(i *issuertest.Issuer) *issuer.Issuer {
	return issuer.New(issuer.Options{URL: i.URL, Clock: i.Clock})
}

// none knows of no revocation.
type none struct{}

func (none) Check(context.Context, *feed.Token, string) error { return nil }

func accept(t testing.TB, v *accesstoken.Verifier, token string) *cases.Caller {
	t.Helper()
	c, err := v.Verify(context.Background(), token)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return c
}

func refused(t testing.TB, v *accesstoken.Verifier, name, token string) {
	t.Helper()
	for range 2 { // the second time it could come from memory
		c, err := v.Verify(context.Background(), token)
		if c != nil || fault.Of(err).Code != "invalid_token" {
			t.Errorf("%s: got %v, %v", name, c, err)
		}
	}
}

func TestVerify_ReadsTheCaller(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	claims := i.Person("p1", "cases:read cases:claim")
	token := i.Sign(claims)
	for range 2 {
		c := accept(t, v, token)
		if c.Sub != "p1" || c.ClientID != "portal" || c.Txn != "txn-p1" || c.JTI != claims["jti"] || c.SID != "sid-1" || c.ACR != cases.ACR2 ||
			!c.AuthTime.Equal(start) || !c.Expires.Equal(start.Add(300*time.Second)) || !c.Has("cases:claim") || c.Has("cases:stats") || c.Machine() {
			t.Errorf("%+v", c)
		}
	}
	if v.Remembered() != 1 || i.KeyFetches() != 1 {
		t.Errorf("%d remembered, %d fetches", v.Remembered(), i.KeyFetches())
	}
	if c := accept(t, v, i.Sign(i.Machine("batch", "cases:stats"))); !c.Machine() || !c.AuthTime.IsZero() {
		t.Errorf("%+v", c)
	}
}

func TestVerify_EachAcceptedAlgorithm(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	for _, alg := range []string{"RS256", "PS256", "EdDSA", "ES256"} {
		i.Rotate(alg)
		i.Clock.Advance(6 * time.Minute)
		accept(t, v, i.Sign(i.Person("p1", "cases:read")))
	}
}

func TestVerify_DiscoveryByEitherStandard(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	i.OnlyOpenID()
	accept(t, v, i.Sign(i.Person("p1", "cases:read")))
}

func TestVerify_MetadataOfAnotherIssuerIsNotBelieved(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	i.Alien()
	if _, err := v.Verify(t.Context(), i.Sign(i.Person("p1", "cases:read"))); !fault.Is(err, fault.Unavailable) || i.KeyFetches() != 0 {
		t.Errorf("got %v after %d fetches", err, i.KeyFetches())
	}
}

// header returns a good header with one member changed.
func header(i *issuertest.Issuer, name string, value any) map[string]any {
	k := i.Key()
	h := issuertest.Claims{"typ": "at+jwt", "alg": k.Algorithm, "kid": k.KeyID}
	return h.With(name, value)
}

func TestVerify_RefusesEveryOtherKindOfToken(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	other := issuertest.Start(t, i.Clock)
	good := i.Person("p1", "cases:read")
	now := start.Unix()
	for name, c := range map[string]issuertest.Claims{
		"other issuer":          good.With("iss", other.URL),
		"issuer with a slash":   good.With("iss", i.URL+"/"),
		"no issuer":             good.With("iss", nil),
		"other audience":        good.With("aud", "http://localhost:9999"),
		"issuer as audience":    good.With("aud", i.URL),
		"client as audience":    good.With("aud", "portal"),
		"audience with a slash": good.With("aud", issuertest.Audience+"/"),
		"two audiences":         good.With("aud", []string{issuertest.Audience, "http://other"}),
		"no audience":           good.With("aud", nil),
		"empty audience list":   good.With("aud", []string{}),
		"audience as object":    good.With("aud", map[string]string{"a": issuertest.Audience}),
		"expired now":           good.With("exp", now),
		"expired long ago":      good.With("exp", now-1000),
		"no end":                good.With("exp", nil),
		"end as text":           good.With("exp", "9999999999"),
		"end null":              good.With("exp", json.RawMessage("null")),
		"end as fraction":       good.With("exp", json.RawMessage("99999999999.5")),
		"end in exponent":       good.With("exp", json.RawMessage("1e99")),
		"end negative":          good.With("exp", -1),
		"far end":               good.With("exp", now+50*365*86400),
		"end after 301 s":       good.With("exp", now+301),
		"old, with a near end":  good.With("iat", now-300).With("exp", now+1),
		"issued ahead":          good.With("iat", now+60),
		"no issue time":         good.With("iat", nil),
		"not before ahead":      good.With("nbf", now+60),
		"no subject":            good.With("sub", nil),
		"empty subject":         good.With("sub", ""),
		"subject as number":     good.With("sub", 7),
		"subject with line":     good.With("sub", "a\nb"),
		"subject of 300":        good.With("sub", strings.Repeat("x", 300)),
		"no jti":                good.With("jti", nil),
		"jti of 300":            good.With("jti", strings.Repeat("x", 300)),
		"no client":             good.With("client_id", nil),
		"txn with escape code":  good.With("txn", "\x1b[2J"),
		"scope as list":         good.With("scope", []string{"cases:read"}),
		"scope with two spaces": good.With("scope", "cases:read  cases:claim"),
		"auth_time as text":     good.With("auth_time", "now"),
		"bound to a DPoP key":   good.With("cnf", map[string]string{"jkt": "x"}),
		"deeply nested":         good.With("x", json.RawMessage(strings.Repeat("[", 50)+strings.Repeat("]", 50))),
		"logout token":          good.With("events", nil).With("sub", nil),
		"no claims":             {},
	} {
		refused(t, v, name, i.Sign(c))
	}
	key := i.Key()
	for name, h := range map[string]map[string]any{
		"ID token (typ JWT)":     header(i, "typ", "JWT"),
		"no typ":                 header(i, "typ", nil),
		"typ in capitals":        header(i, "typ", "AT+JWT"),
		"typ logout+jwt":         header(i, "typ", "logout+jwt"),
		"typ dpop+jwt":           header(i, "typ", "dpop+jwt"),
		"typ as list":            header(i, "typ", []string{"at+jwt"}),
		"crit":                   header(i, "crit", []string{"exp"}),
		"empty crit":             header(i, "crit", []string{}),
		"b64 false":              header(i, "b64", false),
		"own jwk":                header(i, "jwk", key.Public()),
		"jku":                    header(i, "jku", other.URL+"/jwks"),
		"x5u":                    header(i, "x5u", other.URL),
		"x5c":                    header(i, "x5c", []string{"MIIB"}),
		"zip":                    header(i, "zip", "DEF"),
		"no kid":                 header(i, "kid", nil),
		"empty kid":              header(i, "kid", ""),
		"kid as number":          header(i, "kid", 1),
		"unknown kid":            header(i, "kid", "other"),
		"algorithm of no key":    header(i, "alg", "RS256"),
		"algorithm ES384":        header(i, "alg", "ES384"),
		"algorithm ES256K":       header(i, "alg", "ES256K"),
		"algorithm in lowercase": header(i, "alg", "es256"),
	} {
		refused(t, v, name, issuertest.Sign(key.Key, h, good))
	}
	refused(t, v, "another's key under our kid", issuertest.Sign(other.Key().Key, header(i, "x", 1), good))
	refused(t, v, "opaque refresh token", "ert_dGhpcyBpcyBub3QgYSByZWZyZXNoIHRva2VuIGF0IGFsbA012345")
	accept(t, v, i.Sign(good)) // the yardstick: nothing above was refused for another reason
	accept(t, v, issuertest.Sign(key.Key, header(i, "typ", "application/at+jwt"), good))
	accept(t, v, i.Sign(good.With("aud", []string{issuertest.Audience})))
	accept(t, v, i.Sign(good.With("iat", now+5).With("nbf", now+5)))
}

func TestAttack_C05_NoneAndConfusedAlgorithms(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	i.Rotate("RS256")
	accept(t, v, i.Sign(i.Person("p1", "cases:read")))
	good := i.Person("admin", "cases:read")
	key := i.Key()
	pub := key.Public()
	der, err := x509.MarshalPKIXPublicKey(pub.Key)
	if err != nil {
		t.Fatal(err)
	}

	jwk, err := pub.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string][]byte{"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWK": jwk, "empty": nil, "kid": []byte(pub.KeyID)}
	for name, secret := range secrets {
		for _, alg := range []string{"HS256", "HS384", "HS512", "RS256", "ES256", "none"} {
			refused(t, v, alg+" over "+name, macToken(i, alg, secret, good))
		}
	}
	for _, alg := range []any{"none", "None", "NONE", "nOnE", "", nil, 0, []string{"none"}, "RS256 "} {
		h := header(i, "alg", alg)
		unsigned := issuertest.Sign(nil, h, good)
		refused(t, v, fmt.Sprint(alg, " without signature"), unsigned)
		refused(t, v, fmt.Sprint(alg, " with any signature"), unsigned+"AAAA")
	}
	es, rs := issuertest.Start(t, i.Clock), i.Key() // an EC key under the RSA key's kid, and the other way round
	refused(t, v, "ES for RS", issuertest.Sign(es.Key().Key, header(i, "alg", "ES256"), good))
	refused(t, v, "PS for a key of RS", issuertest.Sign(rs.Key, header(i, "alg", "PS256"), good))
	refused(t, v, "zero signature", strings.TrimSuffix(issuertest.Sign(nil, header(i, "alg", "RS256"), good), ".")+"."+strings.Repeat("A", 86))
}

func macToken(i *issuertest.Issuer, alg string, secret []byte, c issuertest.Claims) string {
	unsigned := issuertest.Sign(nil, header(i, "alg", alg), c)
	m := hmac.New(sha256.New, secret)
	_, _ = m.Write([]byte(strings.TrimSuffix(unsigned, ".")))
	return unsigned + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func TestAttack_C07_KidIsOnlyAName(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	accept(t, v, i.Sign(i.Person("p1", "cases:read")))
	for _, kid := range []string{"../../etc/passwd", "' OR 1=1 --", "k\r\nFLUSHALL", "\x00", strings.Repeat("k", 1<<20), "k1-ES256\x00", "K1-ES256", "http://127.0.0.1:1/", "é"} {
		refused(t, v, fmt.Sprintf("kid %.20q", kid), issuertest.Sign(i.Key().Key, header(i, "kid", kid), i.Person("p1", "cases:read")))
	}
}

func TestAttack_C07_FloodOfUnknownKidsCausesOneFetchIn5Minutes(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	accept(t, v, i.Sign(i.Person("p1", "cases:read")))
	before := i.KeyFetches()
	const minutes = 20
	for second := range minutes * 60 {
		i.Clock.Advance(time.Second)
		_, err := v.Verify(t.Context(), issuertest.Sign(nil, header(i, "kid", fmt.Sprint("x", second)), i.Person("p1", "cases:read"))+"AAAA")
		if fault.Of(err).Code != "invalid_token" {
			t.Fatal(err)
		}
	}
	if n := i.KeyFetches() - before; n > minutes/5+1 || n < minutes/5-1 {
		t.Errorf("%d fetches in %d minutes", n, minutes)
	}
}

func TestAttack_C07_ImplausibleTokensCauseNoFetch(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	accept(t, v, i.Sign(i.Person("p1", "cases:read")))
	i.Clock.Advance(time.Minute)
	before := i.KeyFetches()
	for _, c := range []issuertest.Claims{i.Person("p", "x").With("iss", "https://evil.example"), i.Person("p", "x").With("aud", "x"), i.Person("p", "x").With("exp", start.Unix())} {
		refused(t, v, "implausible", issuertest.Sign(nil, header(i, "kid", "new"), c)+"AAAA")
	}
	if n := i.KeyFetches() - before; n != 0 {
		t.Errorf("%d fetches", n)
	}
}

func TestRotation_NewKeyWithoutNoticeIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	accept(t, v, i.Sign(i.Person("p1", "cases:read")))
	i.Clock.Advance(time.Minute)
	i.Rotate("ES256")
	accept(t, v, i.Sign(i.Person("p1", "cases:read")))
	if i.KeyFetches() != 2 {
		t.Errorf("%d fetches", i.KeyFetches())
	}
}

func TestRotation_NewKeyDuringAFloodIsFoundWithin5Minutes(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	accept(t, v, i.Sign(i.Person("p1", "cases:read")))
	i.Clock.Advance(time.Minute)
	flood := func(n int) {
		_, _ = v.Verify(t.Context(), issuertest.Sign(nil, header(i, "kid", fmt.Sprint("x", n)), i.Person("p", "x"))+"AAAA")
	}
	flood(-1)
	i.Rotate("ES256")
	waited := 0
	for ; waited < 600; waited++ {
		i.Clock.Advance(time.Second)
		flood(waited)
		if _, err := v.Verify(t.Context(), i.Sign(i.Person("p1", "cases:read"))); err == nil {
			break
		}
	}
	if waited > 301 {
		t.Errorf("found after %d seconds", waited)
	}
}

func TestRotation_WithdrawnKeyTakesItsTokensWithIt(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	accept(t, v, i.Sign(i.Person("p1", "cases:read")))
	i.Clock.Advance(issuer.KeysFresh - time.Second)
	old := i.Sign(i.Person("p1", "cases:read"))
	accept(t, v, old)
	i.Rotate("ES256")
	i.Withdraw()
	i.Clock.Advance(time.Second) // from now on the keys are fetched again, beside the requests
	for deadline := time.Now().Add(10 * time.Second); i.KeyFetches() < 2 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		_, _ = v.Verify(t.Context(), old)
	}
	accept(t, v, i.Sign(i.Person("p1", "cases:read"))) // the new set is there
	refused(t, v, "remembered token of a withdrawn key", old)
}

func TestVerify_RememberedTokenDiesAtItsEnd(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	token := i.Sign(i.Person("p1", "cases:read"))
	accept(t, v, token)
	i.Clock.Advance(299 * time.Second)
	accept(t, v, token)
	i.Clock.Advance(time.Second)
	refused(t, v, "at its end", token)
}

func TestCache_IsBounded(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	i.Rotate("EdDSA")
	for n := range 17_500 {
		accept(t, v, i.Sign(i.Person(fmt.Sprint("p", n), "cases:read")))
	}
	if n := v.Remembered(); n > 16*1024 {
		t.Errorf("%d tokens in memory", n)
	}
}

func TestIssuerDown_FailsClosedAndComesBack(t *testing.T) {
	t.Parallel()
	i := issuertest.Start(t, clock.NewFake(start))
	from := keysOf(i)
	v := accesstoken.New(accesstoken.Options{Issuer: from, Audience: issuertest.Audience, Revocations: none{}, Clock: i.Clock})
	i.Down(true)
	token := func() string { return i.Sign(i.Person("p1", "cases:read")) }
	_, err := v.Verify(t.Context(), token())
	if f := fault.Of(err); f.Code != "issuer_unreachable" || f.RetryAfter <= 0 || from.Healthy() {
		t.Fatal(err)
	}
	i.Down(false)
	if _, err := v.Verify(t.Context(), token()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("asked again at once: %v", err)
	}
	i.Clock.Advance(time.Second)
	accept(t, v, token())
	i.Down(true)
	i.Clock.Advance(issuer.KeysStale - time.Second) // an outage shorter than this is not noticed
	accept(t, v, token())
	i.Clock.Advance(time.Minute)
	if _, err := v.Verify(t.Context(), token()); !fault.Is(err, fault.Unavailable) || from.Healthy() {
		t.Errorf("let somebody in with stale keys: %v", err)
	}
	i.Down(false)
	i.Clock.Advance(time.Minute)
	accept(t, v, token())
}

func TestRefresh_IsOneFetchForManyCallers(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	i.Slow(50 * time.Millisecond)
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() { accept(t, v, i.Sign(i.Person(fmt.Sprint("p", n), "cases:read"))) })
	}
	wg.Wait()
	if i.KeyFetches() != 1 {
		t.Errorf("%d fetches", i.KeyFetches())
	}
}

func TestRefresh_CallerWhoHangsUpSpoilsItForNobody(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	i.Slow(100 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { time.Sleep(10 * time.Millisecond); cancel() }()
	token := i.Sign(i.Person("p1", "cases:read"))
	if _, err := v.Verify(ctx, token); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	accept(t, v, token)
}
