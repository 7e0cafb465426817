package keyring_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/fresh"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

type bench struct {
	path string
	clk  *clock.Fake
	kek  []byte
}

func newBench(t *testing.T) *bench {
	kek := make([]byte, seal.KeySize)
	_, _ = rand.Read(kek)
	return &bench{filepath.Join(t.TempDir(), "idp.db"), clock.NewFake(start), kek}
}

// ring opens the database like a process of its own.
func (b *bench) ring(t *testing.T) *keyring.Ring {
	t.Helper()
	s, err := seal.New(b.kek)
	if err != nil {
		t.Fatal(err)
	}
	st := sqltest.OpenAt(t, b.path, b.clk)
	return keyring.New(keyring.Deps{Store: st, Commit: st, Seal: s, Clock: b.clk})
}

func (b *bench) ready(t *testing.T) *keyring.Ring {
	t.Helper()
	r := b.ring(t)
	if err := r.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

type claims struct {
	Sub string `json:"sub"`
}

func sign(t *testing.T, r *keyring.Ring, alg, typ string) string {
	t.Helper()
	s, err := r.Sign(t.Context(), alg, typ, claims{"somebody"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func header(t *testing.T, token string) (h struct{ Alg, Kid, Typ string }) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func published(t *testing.T, r *keyring.Ring) jose.JSONWebKeySet {
	t.Helper()
	body, etag, err := r.JWKS(t.Context())
	if err != nil || len(etag) < 3 {
		t.Fatalf("etag %q, %v", etag, err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		if !k.IsPublic() || k.Use != "sig" {
			t.Fatalf("%s is published as %T for %q", k.KeyID, k.Key, k.Use)
		}
	}
	if bytes.Contains(body, []byte(`"d":`)) || bytes.Contains(body, []byte(`"p":`)) {
		t.Fatal("a private part is published")
	}
	return set
}

func TestSign_EveryAlgorithmVerifiesAgainstThePublishedSet(t *testing.T) {
	t.Parallel()
	r := newBench(t).ring(t)
	if err := r.Ensure(t.Context(), "PS256", "EdDSA", "ES256"); err != nil {
		t.Fatal(err)
	}
	set := published(t, r)
	if len(set.Keys) != 8 {
		t.Fatalf("%d keys published, want active and next of four algorithms", len(set.Keys))
	}
	for _, alg := range keyring.Algorithms {
		token := sign(t, r, alg, "at+jwt")
		h := header(t, token)
		keys := set.Key(h.Kid)
		if h.Alg != alg || h.Typ != "at+jwt" || len(keys) != 1 || keys[0].Algorithm != alg {
			t.Fatalf("%s: header %+v, %d keys", alg, h, len(keys))
		}
		obj, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatal(err)
		}
		if body, err := obj.Verify(keys[0]); err != nil || string(body) != `{"sub":"somebody"}` {
			t.Fatalf("%s: %s, %v", alg, body, err)
		}
		if body, err := r.Verify(t.Context(), token, "JWT", "at+jwt"); err != nil || string(body) != `{"sub":"somebody"}` {
			t.Fatalf("%s: %s, %v", alg, body, err)
		}
	}
	if _, err := r.Sign(t.Context(), "HS256", "JWT", claims{}); !errors.Is(err, keyring.ErrNoKey) {
		t.Fatalf("HS256: %v", err)
	}
}

func TestVerify_RefusesWhatWasNotSignedHereForThisUse(t *testing.T) {
	t.Parallel()
	r, other := newBench(t).ready(t), newBench(t).ready(t)
	good := sign(t, r, "ES256", "at+jwt")
	part := strings.Split(good, ".")
	h := header(t, good)
	enc := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	body, _, err := r.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hs, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: body, KeyID: h.Kid}}, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	obj, err := hs.Sign([]byte(`{"sub":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	confused, err := obj.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"empty":                "",
		"another issuer's":     sign(t, other, "ES256", "at+jwt"),
		"another typ":          sign(t, r, "ES256", "JWT"),
		"altered claims":       part[0] + "." + enc(`{"sub":"root"}`) + "." + part[2],
		"no signature":         part[0] + "." + part[1] + ".",
		"alg none":             enc(`{"alg":"none","typ":"at+jwt","kid":"`+h.Kid+`"}`) + "." + part[1] + ".",
		"HS256 under the JWKS": confused,
		"RS256 named":          enc(`{"alg":"RS256","typ":"at+jwt","kid":"`+h.Kid+`"}`) + "." + part[1] + "." + part[2],
		"kid of nobody":        enc(`{"alg":"ES256","typ":"at+jwt","kid":"../../x' OR 1"}`) + "." + part[1] + "." + part[2],
		"padding":              good + "=",
		"line break":           good[:20] + "\n" + good[20:],
		"stray bits":           good[:len(good)-1] + string(good[len(good)-1]+1),
		"JSON serialization":   `{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`,
		"too long":             strings.Repeat("a", 20<<10) + ".a.a",
	} {
		if got, err := r.Verify(t.Context(), token, "at+jwt"); !errors.Is(err, keyring.ErrToken) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, err := r.Verify(t.Context(), good); !errors.Is(err, keyring.ErrToken) {
		t.Errorf("no typ asked for: %v", err)
	}
}

func TestEnsure_ProcessesThatStartTogetherShareOneSet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rings := make([]*keyring.Ring, 4)
	for i := range rings {
		rings[i] = b.ring(t)
	}
	var wg sync.WaitGroup
	for _, r := range rings {
		wg.Go(func() {
			if err := r.Ensure(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, r := range rings {
		if n := len(published(t, r).Keys); n != 4 {
			t.Errorf("%d keys published", n)
		}
		if a, b := r.Pairwise("api", "cases", "acc_1"), rings[0].Pairwise("api", "cases", "acc_1"); a != b {
			t.Errorf("subjects differ: %s, %s", a, b)
		}
		if _, err := r.Verify(t.Context(), sign(t, rings[0], "RS256", "JWT"), "JWT"); err != nil {
			t.Error(err)
		}
	}
}

func TestEnsure_WrongKeyEncryptionKeyIsFoundAtTheStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ready(t)
	b.kek = bytes.Repeat([]byte{7}, seal.KeySize)
	if err := b.ring(t).Ensure(t.Context()); !errors.Is(err, seal.ErrOpen) {
		t.Fatalf("got %v", err)
	}
}

func TestRotate_NextSignsOnlyAfterItWasPublishedForACacheLifetime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r, replica := b.ready(t), b.ready(t)
	old := sign(t, r, "ES256", "JWT")
	if err := r.Rotate(t.Context(), "ES256", false); !errors.Is(err, keyring.ErrTooSoon) || fault.Of(err).RetryAfter != keyring.PublishedFor {
		t.Fatalf("at once: %v", err)
	}
	before := published(t, r)
	b.clk.Advance(keyring.PublishedFor)
	if err := r.Rotate(t.Context(), "ES256", false); err != nil {
		t.Fatal(err)
	}
	token := sign(t, r, "ES256", "JWT")
	if kid := header(t, token).Kid; kid == header(t, old).Kid || len(before.Key(kid)) != 1 {
		t.Fatalf("signs with %s, which was not published before", kid)
	}
	if n := len(published(t, r).Keys); n != 5 {
		t.Fatalf("%d keys published, want the retiring one too", n)
	}
	b.clk.Advance(fresh.Every)
	for _, tok := range []string{old, token} {
		if _, err := replica.Verify(t.Context(), tok, "JWT"); err != nil {
			t.Error(err)
		}
	}
	if err := r.Rotate(t.Context(), "HS256", false); !errors.Is(err, keyring.ErrAlgorithm) {
		t.Errorf("HS256: %v", err)
	}
}

func TestMaintain_RetiresAndRotatesWhenItIsTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.ready(t)
	old := sign(t, r, "ES256", "JWT")
	b.clk.Advance(keyring.RotateAfter)
	for range 2 { // the second finds nothing to do
		if err := r.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if header(t, sign(t, r, "ES256", "JWT")).Kid == header(t, old).Kid {
		t.Fatal("the old key signs on")
	}
	if _, err := r.Verify(t.Context(), old, "JWT"); err != nil {
		t.Fatalf("while retiring: %v", err)
	}
	b.clk.Advance(keyring.RetiringFor)
	if err := r.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(t.Context(), old, "JWT"); !errors.Is(err, keyring.ErrToken) {
		t.Fatalf("once retired: %v", err)
	}
	if _, err := r.VerifyOld(t.Context(), old, "JWT"); err != nil {
		t.Fatalf("as an old token: %v", err)
	}
	if n := len(published(t, r).Keys); n != 4 {
		t.Fatalf("%d keys published", n)
	}
}

func TestRotate_EmergencyDiscardsEveryKeyOfTheAlgorithm(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.ready(t)
	es, rs := sign(t, r, "ES256", "JWT"), sign(t, r, "RS256", "JWT")
	before := published(t, r)
	if err := r.Rotate(t.Context(), "ES256", true); err != nil {
		t.Fatal(err)
	}
	if _, err := r.VerifyOld(t.Context(), es, "JWT"); !errors.Is(err, keyring.ErrToken) {
		t.Errorf("a token under the discarded key: %v", err)
	}
	if _, err := r.Verify(t.Context(), rs, "JWT"); err != nil {
		t.Errorf("another algorithm: %v", err)
	}
	for _, k := range published(t, r).Keys {
		if k.Algorithm == "ES256" && len(before.Key(k.KeyID)) != 0 {
			t.Errorf("%s is still published", k.KeyID)
		}
	}
	sign(t, r, "ES256", "JWT")
	list, err := r.List(t.Context())
	if err != nil || len(list) != 6 {
		t.Fatalf("%d keys, %v", len(list), err)
	}
	for _, k := range list {
		if len(k.Sealed) != 0 {
			t.Errorf("%s is listed with its private part", k.ID)
		}
	}
}

// A token that was verified before is looked at as closely as a new one: its use, its whole text, and whether its key may
// still vouch for it.
func TestVerify_RemembersNoMoreThanTheSignature(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.ready(t)
	tok := sign(t, r, "ES256", "at+jwt")
	for range 2 {
		got, err := r.Verify(t.Context(), tok, "at+jwt")
		if err != nil || string(got) != `{"sub":"somebody"}` {
			t.Fatalf("%s, %v", got, err)
		}
		got[8] = 'X' // the caller's own
	}
	for what, bad := range map[string]string{"cut": tok[:len(tok)-1], "longer": tok + "A", "another signature": tok[:len(tok)-86] + strings.Repeat("A", 86)} {
		if _, err := r.Verify(t.Context(), bad, "at+jwt"); !errors.Is(err, keyring.ErrToken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := r.Verify(t.Context(), tok, "JWT"); !errors.Is(err, keyring.ErrToken) {
		t.Errorf("for another use: %v", err)
	}
	if err := b.ring(t).Rotate(t.Context(), "ES256", true); err != nil { // another process
		t.Fatal(err)
	}
	b.clk.Advance(fresh.Every)
	if _, err := r.VerifyOld(t.Context(), tok, "at+jwt"); !errors.Is(err, keyring.ErrToken) {
		t.Errorf("under a discarded key: %v", err)
	}
}

func TestPairwise_PartsDoNotRunTogetherAndSurviveARestart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.ready(t)
	seen := map[string]bool{}
	for _, p := range [][3]string{{"api", "cases", "acc_1"}, {"client", "cases", "acc_1"}, {"api", "case", "sacc_1"}, {"apic", "ases", "acc_1"}, {"api", "", "acc_1"}, {"api", "cases", "acc_2"}} {
		s := r.Pairwise(p[0], p[1], p[2])
		if len(s) != 43 || seen[s] {
			t.Errorf("%v: %s", p, s)
		}
		seen[s] = true
	}
	if r.Pairwise("api", "cases", "acc_1") != b.ready(t).Pairwise("api", "cases", "acc_1") {
		t.Error("the subject changed")
	}
	s1, err1 := r.Secret("csrf")
	s2, err2 := b.ring(t).Secret("csrf")
	s3, err3 := r.Secret("throttle")
	if err := errors.Join(err1, err2, err3); err != nil || len(s1) != 32 || !bytes.Equal(s1, s2) || bytes.Equal(s1, s3) {
		t.Errorf("secrets: %v", err)
	}
}

func TestPairwise_NeverWorksWithoutItsSecret(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a subject was derived under no secret")
		}
	}()
	newBench(t).ring(t).Pairwise("api", "cases", "acc_1")
}

func FuzzVerify(f *testing.F) {
	clk := clock.NewFake(start)
	st := sqltest.Open(f, clk)
	s, err := seal.New(bytes.Repeat([]byte{1}, seal.KeySize))
	if err != nil {
		f.Fatal(err)
	}
	r := keyring.New(keyring.Deps{Store: st, Commit: st, Seal: s, Clock: clk})
	if err := r.Ensure(f.Context()); err != nil {
		f.Fatal(err)
	}
	good, err := r.Sign(f.Context(), "ES256", "JWT", claims{"s"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if body, err := r.Verify(t.Context(), token, "JWT"); err == nil && token != good {
			t.Fatalf("%q passes as %s", token, body)
		}
	})
}
