package accesstoken_test

import (
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/issuer"
)

func TestAttack_C22_ThereIsOneTextForOneToken(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	token := i.Sign(i.Person("p1", "cases:read"))
	accept(t, v, token)
	p := strings.Split(token, ".")
	for name, s := range map[string]string{
		"padding":               token + "=",
		"padding everywhere":    p[0] + "=." + p[1] + "=." + p[2] + "=",
		"space before":          " " + token,
		"space after":           token + " ",
		"line break in the end": token + "\n",
		"line break inside":     p[0][:4] + "\n" + p[0][4:] + "." + p[1] + "." + p[2],
		"carriage return":       p[0] + "." + p[1] + "." + p[2][:9] + "\r" + p[2][9:],
		"tab":                   p[0] + "\t." + p[1] + "." + p[2],
		"two parts":             p[0] + "." + p[1],
		"four parts":            token + ".",
		"five parts":            token + ".a.b",
		"empty header":          "." + p[1] + "." + p[2],
		"empty payload":         p[0] + ".." + p[2],
		"empty signature":       p[0] + "." + p[1] + ".",
		"nothing":               "",
		"dots":                  "..",
		"standard alphabet":     p[0] + "." + p[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(p[2]) + "+/",
		"NUL":                   token + "\x00",
	} {
		refused(t, v, name, s)
	}
	// 64 bytes of signature leave four unused bits in the last character: only one of sixteen texts is the token.
	same := 0
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		bent := token[:len(token)-1] + string(c)
		if _, err := v.Verify(t.Context(), bent); err == nil {
			same++
		}
	}
	if same != 1 {
		t.Errorf("%d texts pass for one token", same)
	}
}

// The library that signs and others that verify agree on two halves of 32 bytes (RFC 7518 §3.4), and on nothing else.
func TestVerify_AnES256SignatureIsTwoHalves(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	token := i.Sign(i.Person("p1", "cases:read"))
	at := strings.LastIndexByte(token, '.') + 1
	sig, err := base64.RawURLEncoding.DecodeString(token[at:])
	if err != nil || len(sig) != 64 {
		t.Fatalf("%d bytes, %v", len(sig), err)
	}
	r, s, zero := sig[:32], sig[32:], make([]byte, 32)
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)})
	if err != nil {
		t.Fatal(err)
	}
	order := elliptic.P256().Params().N
	more := func(half []byte) []byte { return new(big.Int).Add(order, new(big.Int).SetBytes(half)).Bytes() }
	for name, bent := range map[string][]byte{
		"a zero between": slices.Concat(r, []byte{0}, s), "a zero before": slices.Concat([]byte{0}, sig), "a zero after": slices.Concat(sig, []byte{0}),
		"one half": r, "one byte less": sig[:63], "DER": der, "halves changed": slices.Concat(s, r),
		"zeros": slices.Concat(zero, zero), "r alone": slices.Concat(r, zero), "s alone": slices.Concat(zero, s),
		"r beyond the order": slices.Concat(more(r), s), "s beyond the order": slices.Concat(r, more(s)),
	} {
		refused(t, v, name, token[:at]+base64.RawURLEncoding.EncodeToString(bent))
	}
	accept(t, v, token)
}

func TestAttack_B16_EveryChangeOfOneCharacterIsRefused(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	token := i.Sign(i.Person("p1", "cases:read"))
	accept(t, v, token)
	for n := range token {
		refused(t, v, "prefix", token[:n])
		c := byte('A')
		if token[n] == c {
			c = 'B'
		}
		refused(t, v, "change", token[:n]+string(c)+token[n+1:])
	}
}

func TestAttack_C12_OnlyCompactSerialization(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	good := i.Sign(i.Person("p1", "cases:read"))
	evil := issuertest.Start(t, i.Clock)
	forged := evil.Sign(i.Person("admin", "cases:read"))
	g, f := strings.Split(good, "."), strings.Split(forged, ".")
	for name, doc := range map[string]any{
		"flattened": map[string]any{"protected": g[0], "payload": g[1], "signature": g[2]},
		"general":   map[string]any{"payload": g[1], "signatures": []any{map[string]any{"protected": g[0], "signature": g[2]}}},
		"two signatures": map[string]any{"payload": f[1], "signatures": []any{
			map[string]any{"protected": g[0], "signature": g[2]}, map[string]any{"protected": f[0], "signature": f[2]}}},
	} {
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, v, name, string(text))
		refused(t, v, name+", encoded", base64.RawURLEncoding.EncodeToString(text))
	}
}

func TestAttack_C09_NoEncryptedTokens(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	jwe := b64(`{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2c":2147483647,"p2s":"AAAA","typ":"at+jwt","kid":"`+i.Key().KeyID+`"}`) + ".AAAA.AAAA.AAAA.AAAA"
	began := time.Now()
	refused(t, v, "PBES2 with a huge count", jwe)
	refused(t, v, "the same in three parts", strings.TrimSuffix(strings.TrimSuffix(jwe, ".AAAA"), ".AAAA"))
	if took := time.Since(began); took > 10*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

func TestAttack_C16_MalformedTokensCostLittle(t *testing.T) { // not parallel: it counts allocations
	i, v := setup(t)
	accept(t, v, i.Sign(i.Person("p1", "cases:read")))
	for name, s := range map[string]string{
		"only dots":       strings.Repeat(".", 1<<20),
		"a megabyte":      strings.Repeat("A", 1<<20),
		"8 KiB of dots":   strings.Repeat(".", 8<<10),
		"8 KiB of header": strings.Repeat("A", 8<<10-3) + "...",
	} {
		n := testing.AllocsPerRun(20, func() { _, _ = v.Verify(t.Context(), s) })
		if n > 10 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestAttack_I02_OverlongScopesAndDepthAreRefusedQuickly(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	good := i.Person("p1", "cases:read")
	scopes, some := i.Sign(good.With("scope", strings.Repeat("s ", 100_000)+"s")), i.Sign(good.With("scope", strings.Repeat("s ", 100)+"s"))
	deep := i.Sign(good.With("x", json.RawMessage(strings.Repeat("[", 2500)+strings.Repeat("]", 2500))))
	fastest := time.Hour // of several rounds: what else the machine does is not asked here
	for range 10 {
		began := time.Now()
		refused(t, v, "1e5 scopes", scopes)
		refused(t, v, "100 scopes", some)
		refused(t, v, "depth 3000", deep)
		fastest = min(fastest, time.Since(began))
	}
	if fastest > 50*time.Millisecond {
		t.Errorf("took %v", fastest)
	}
}

// Two readers of one token must not see different claims.
func TestVerify_RefusesDuplicateMembersAtEveryLevel(t *testing.T) {
	t.Parallel()
	i, v := setup(t)
	k := i.Key()
	head, err := json.Marshal(header(i, "cty", nil))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(i.Person("p1", "cases:read"))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(h, b string) string { return issuertest.SignRaw(k.Key, k.Algorithm, []byte(h), []byte(b)) }
	accept(t, v, sign(string(head), string(body)))
	rest := strings.TrimPrefix(string(body), "{")
	for name, token := range map[string]string{
		"sub first":          sign(string(head), `{"sub":"admin",`+rest),
		"sub escaped":        sign(string(head), `{"s\u0075b":"admin",`+rest),
		"nested":             sign(string(head), `{"x":{"a":1,"a":2},`+rest),
		"nested in an array": sign(string(head), `{"x":[{"a":1,"a":2}],`+rest),
		"alg twice":          sign(`{"alg":"none",`+strings.TrimPrefix(string(head), "{"), string(body)),
		"sub in capitals":    sign(string(head), strings.Replace(string(body), `"sub"`, `"SUB"`, 1)),
		"trailing object":    sign(string(head), string(body)+"{}"),
		"leading space":      sign(string(head), " "+string(body)),
		"an array":           sign(string(head), "["+string(body)+"]"),
		"bad UTF-8":          sign(string(head), strings.Replace(string(body), "portal", "p\xff", 1)),
		"null":               sign(string(head), "null"),
		"byte order mark":    sign(string(head), "\ufeff"+string(body)),
	} {
		refused(t, v, name, token)
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"https://id.example/jwks": true, "http://localhost:8080/jwks": true, "http://127.0.0.1:1/x": true, "http://[::1]/x": true,
		"http://id.example/jwks": false, "http://localhost.evil.example/": false, "ftp://localhost/": false, "": false, "/jwks": false,
		"https://user@id.example/": false, "http://127.0.0.1.nip.io/": false, "https://id.example/#x": false, "file:///etc/passwd": false,
	} {
		if err := issuer.CheckURL(text); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	i := issuertest.Start(f, clock.NewFake(start))
	v := verifierOf(i)
	good := i.Sign(i.Person("p1", "cases:read"))
	accept(f, v, good)
	f.Add(good)
	f.Add(issuertest.Sign(nil, header(i, "alg", "none"), i.Person("p1", "x")))
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if c, err := v.Verify(t.Context(), token); err == nil && token != good {
			t.Fatalf("accepted %q as %+v", token, c)
		}
	})
}
